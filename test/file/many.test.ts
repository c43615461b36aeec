import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { openTestStore } from '../support/store.js'

// What walks over all sandboxes keeps its memory flat and lets the event loop turn, however many there are. (To list them
// in order, their names are read and sorted in one go: about a microsecond for each.)

const COUNT = effort(5_000, 20_000, 100_000)
const STATE = '{"state":"running","blockIndex":3,"guestMemoryBlockSize":128,"guestMemoryHotplugProbe":true}'
const STOPPED = STATE.replace('running', 'stopped')

/** One sandbox of this many is stopped, and another one is damaged. */
const RARE = 1_000

const root = join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), `sandbox-state-test-many-${process.pid}`)
beforeAll(() => {
  for (let i = 0; i < COUNT; i++) {
    const folder = join(root, `sandbox-${i}`)
    mkdirSync(folder, { mode: 0o700, recursive: true })
    const text = i % RARE === 0 ? '{' : i % RARE === 1 ? STOPPED : STATE
    writeFileSync(join(folder, 'state.json'), text, { mode: 0o600 })
    writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
  }
}, 600_000)
afterAll(() => rmSync(root, { recursive: true }), 600_000)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that are really in use. */
function heap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** By the processor's time, in ms, so that what other programs take of it does not count. */
function spent(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

interface Walked {
  readonly items: number
  /** In bytes: from the first look at the memory to the largest. */
  readonly growth: number
  /** The longest time between two turns of the event loop, in ms. */
  readonly longest: number
}

/** Takes the items, `most` at most, and looks at the memory after every `lookEvery`. */
async function walk(
  items: AsyncIterable<unknown>,
  { most = Number.POSITIVE_INFINITY, lookEvery = 1 } = {},
): Promise<Walked> {
  let turned = spent()
  let longest = 0
  const measure = () => {
    longest = Math.max(longest, spent() - turned)
  }
  const timer = setInterval(() => {
    measure()
    turned = spent()
  }, 1)
  onTestFinished(() => clearInterval(timer))
  const sizes: number[] = []
  let count = 0
  for await (const _ of items) {
    if (count++ % lookEvery === 0) {
      measure()
      const before = spent()
      sizes.push(heap())
      turned += spent() - before // Not the walk's doing.
    }
    if (count === most) break
  }
  measure()
  return { items: count, growth: Math.max(...sizes.slice(1)) - (sizes[1] ?? 0), longest }
}

const lookEvery = COUNT / 20

// In this order: the last one takes the stopped ones away.
test.each([
  { what: 'list', start: (store: SandboxStore) => store.list(), items: COUNT, lookEvery, each: 0 },
  { what: 'check', start: (store: SandboxStore) => store.check(), items: COUNT / RARE, each: 0 },
  // It knows every state that it has reported, and watches each folder.
  { what: 'watch', start: (store: SandboxStore) => store.watch(), items: COUNT, lookEvery, each: 3_000 },
  {
    what: 'prune',
    start: (store: SandboxStore) => store.prune({ olderThan: 0, state: 'stopped' }),
    items: COUNT / RARE,
    each: 0,
  },
])(
  `$what goes over ${COUNT} sandboxes`,
  { timeout: 600_000 },
  async ({ what, start, items, each, ...options }) => {
    const store = await openTestStore(root, { durable: false })
    const most = what === 'watch' ? items : undefined
    const walked = await walk(start(store), { ...options, ...(most !== undefined && { most }) })
    console.log(
      `${what} of ${COUNT}: the heap grew by ${(walked.growth / 1e6).toFixed(1)} MB; ` +
        `at most ${walked.longest.toFixed(0)} ms of processor time between turns`,
    )
    expect(walked.items).toBe(items)
    expect(walked.growth).toBeLessThan(3e6 + each * COUNT)
    expect(walked.longest).toBeLessThan(100 + COUNT / 500)
  },
)
