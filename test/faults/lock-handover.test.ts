import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// A lock that is given up is free at once, one that is looked at stays free, and a waiter gets its turn.

const [{ folder } = { folder: tmpdir() }] = filesystems

const CHANGES = effort(500, 1_000)
const TENURES = effort(200, 1_000)
const CHECKS = effort(60, 300)

const PATIENT = { timeout: effort(60_000, 120_000) }

async function newSandbox(): Promise<{ root: string; store: SandboxStore }> {
  const root = temporaryFolder(folder)
  const store = await openTestStore(root, { lockTimeout: 0 })
  await store.create('a')
  return { root, store }
}

describe('a lock is given up although a child of another thread has a copy of it, between fork and exec', () => {
  test.each([
    ['a change', CHANGES, []],
    ['an owner, and by a look for owners', TENURES, ['own']],
    ['a check that confirms a fault', CHECKS, ['check']],
  ])('by %s', async (_, count, beside) => {
    const { root } = await newSandbox()
    const isChecked = beside.includes('check')
    if (isChecked) writeFileSync(join(root, 'a', 'history.jsonl.1'), 'damaged\n', { mode: 0o600 })
    const report = await nextMessage(startProgram('forker', [root, 'a', `${count}`, ...beside]))
    expect(report).toEqual({ made: count, found: isChecked ? count : 0, errors: {} })
  })
})

describe.each(['locks', 'check'])('%s keeps nobody out', what => {
  test('of a sandbox: changes beside it need not wait', PATIENT, async () => {
    const { root, store } = await newSandbox()
    const lookers = [1, 2].map(() => startProgram('looker', [root, what]))
    await Promise.all(lookers.map(nextMessage))
    const errors: unknown[] = []
    const COUNT = effort(250, 4_000)
    for (let i = 0; i < COUNT; i++) {
      await store.update('a', state => state).catch((error: unknown) => errors.push(error))
      if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    const looks = lookers.map(nextMessage)
    for (const looker of lookers) looker.send('stop')
    for (const count of await Promise.all(looks)) expect(count).toBeGreaterThan(0)
    expect(`${errors.length} of ${COUNT} failed: ${errors[0] ?? ''}`).toBe(`0 of ${COUNT} failed: `)
  })
})

test('beside many that wait in the kernel, a change gets its turn within its time', PATIENT, async () => {
  const { root } = await newSandbox()
  // A change that only asks now and then would have to meet one of some 200 instants between two turns, of 20 µs each.
  const WAITERS = 8
  const HELD = 50
  const LOCK_TIMEOUT = 10_000
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(WAITERS + 4) }
  const args = [join(root, 'a', 'lock'), String(WAITERS), String(HELD)]
  const waiters = startProgram('kernel-waiters', args, { env })
  await nextMessage(waiters)
  const changes = [1, 2, 3, 4, 5, 6]
    .slice(0, effort(3, 6))
    .map(() => nextMessage(startProgram('ticker', [root, 'a', 'update', String(LOCK_TIMEOUT)])))
  const outcomes = await Promise.all(changes)
  const stopped = nextMessage(waiters)
  waiters.send('stop')
  expect(await stopped).toBeGreaterThan(WAITERS)
  expect(outcomes).toMatchObject(changes.map(() => ({ code: 'ok' })))
})
