import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { settled } from '../support/wait.js'

// A lock that is given up is free at once, one that is looked at stays free, and whoever waits for one gets it.

const [{ folder } = { folder: tmpdir() }] = filesystems

const CHANGES = effort(100, 1_000)
const CHECKS = effort(30, 300)

async function newSandbox(): Promise<string> {
  const root = temporaryFolder(folder)
  const store = await openStore(root)
  await store.create('a')
  await store.close()
  return root
}

describe('a lock is given up although a child of another thread has a copy of it, between fork and exec', () => {
  test('by a change', async () => {
    const root = await newSandbox()
    const report = await settled(nextMessage(startProgram('forker', [root, 'a', `${CHANGES}`])))
    expect(report).toEqual({ made: CHANGES, errors: {} })
  })

  test('by an owner, and by one who looks whether there is any', async () => {
    const root = await newSandbox()
    const report = await settled(nextMessage(startProgram('forker', [root, 'a', `${CHANGES}`, 'own'])))
    expect(report).toEqual({ made: CHANGES, errors: {} })
  })

  test('by a check that confirms a fault', async () => {
    const root = await newSandbox()
    writeFileSync(join(root, 'a', 'state.json.4711'), '')
    const report = await settled(nextMessage(startProgram('forker', [root, 'a', `${CHECKS}`, 'check'])))
    expect(report).toEqual({ made: CHECKS, errors: {} })
  })
})

describe.each(['locks', 'check'])('%s keeps nobody out', what => {
  test('of a sandbox: changes beside it need not wait', async () => {
    const root = await newSandbox()
    const store = await openStore(root, { lockTimeout: 0 })
    onTestFinished(() => store.close())
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

test('beside many that wait in the kernel, a change gets its turn within its time', {
  timeout: 60_000,
}, async () => {
  const root = await newSandbox()
  // A turn of each takes 0.4 s. Whoever only asks now and then must meet one of the instants between two turns.
  const WAITERS = 8
  const HELD = 50
  const LOCK_TIMEOUT = 4_000
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(WAITERS + 4) }
  const waiters = startProgram('kernel-waiters', [join(root, 'a', 'lock'), String(WAITERS), String(HELD)], {
    env,
  })
  await nextMessage(waiters)
  const changes = [1, 2, 3, 4, 5, 6]
    .slice(0, effort(3, 6))
    .map(() => nextMessage(startProgram('ticker', [root, 'a', 'update', String(LOCK_TIMEOUT)])))
  const outcomes = await settled(Promise.all(changes))
  const stopped = nextMessage(waiters)
  waiters.send('stop')
  expect(await stopped).toBeGreaterThan(WAITERS)
  const made = { code: 'ok', ticks: expect.any(Number) }
  expect(outcomes).toEqual(changes.map(() => made))
})
