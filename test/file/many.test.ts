import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { libc } from '#src/file/posix/libc.js'
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

// On this clock nothing but opening a file takes time, 1 ms each. So it is a number of files that keeps the loop from turning.
let now = performance.now()
performance.now = () => now // Not by vi.spyOn, which remembers each call.
const { openat } = libc
libc.openat = (...given) => {
  now++
  return openat(...given)
}

interface Walked {
  readonly items: number
  /** In bytes: from the first look at the memory to the largest. */
  readonly growth: number
  /** The longest time between two turns of the event loop, in ms of the clock above. */
  readonly longest: number
}

/** Takes the items, `most` at most, and looks at the memory after every `lookEvery`. */
async function walk(
  items: AsyncIterable<unknown>,
  { most = Number.POSITIVE_INFINITY, lookEvery = 1 } = {},
): Promise<Walked> {
  let turned = now
  let longest = 0
  let isOver = false
  const turn = () => {
    longest = Math.max(longest, now - turned)
    turned = now
    if (!isOver) setImmediate(turn)
  }
  turn()
  const sizes: number[] = []
  let count = 0
  for await (const _ of items) {
    if (count++ % lookEvery === 0) sizes.push(heap())
    if (count === most) break
  }
  isOver = true
  turn()
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
    expect(walked.items).toBe(items)
    expect(walked.growth).toBeLessThan(3e6 + each * COUNT)
    expect(walked.longest).toBeLessThan(20)
  },
)
