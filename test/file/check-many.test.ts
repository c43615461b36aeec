import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/root.js'

/** How many sandboxes; the figures of docs/durability.md are those of 100,000. */
const COUNT = Number(process.env.SANDBOX_STATE_TEST_COUNT ?? 10_000)
const STATE = '{"state":"running","blockIndex":3,"guestMemoryBlockSize":128,"guestMemoryHotplugProbe":true}'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that are really in use. */
function heap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

test(`a check of ${COUNT} sandboxes keeps its memory flat and lets the event loop turn`, {
  timeout: 600_000,
}, async () => {
  const root = temporaryFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir())
  for (let i = 0; i < COUNT; i++) {
    const folder = join(root, `sandbox-${i}`)
    mkdirSync(folder, 0o700)
    writeFileSync(join(folder, 'state.json'), i % 1000 === 0 ? '{' : STATE, { mode: 0o600 })
    writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
  }
  const store = await openStore(root, { durable: false })
  onTestFinished(() => store.close())
  // By the processor's time, so that what other programs take of it does not count.
  const spent = () => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000
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
  let found = 0
  let own = 0
  const start = performance.now()
  for await (const { code } of store.check()) {
    expect(code).toBe('CORRUPT_STATE')
    found++
    measure()
    const before = performance.now()
    const spentBefore = spent()
    sizes.push(heap())
    turned += spent() - spentBefore // Not the check's doing.
    own += performance.now() - before
  }
  const time = performance.now() - start - own
  measure()
  expect(found).toBe(COUNT / 1000)
  const growth = Math.max(...sizes.slice(2)) - (sizes[1] ?? 0)
  console.log(
    `${COUNT} sandboxes: ${Math.round(time)} ms, ${((time / COUNT) * 1000).toFixed(0)} µs each; ` +
      `heap grew by ${(growth / 1e6).toFixed(1)} MB; at most ${longest.toFixed(0)} ms of processor time between turns`,
  )
  expect(growth).toBeLessThan(3e6)
  expect(longest).toBeLessThan(100)
  rmSync(root, { recursive: true }) // Of so many, longer than a hook may take.
})
