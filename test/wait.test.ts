import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort, places } from './support/effort.js'
import { nextMessage, startProgram } from './support/program.js'
import { filesystems, temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'

async function setUp(on?: string) {
  const root = temporaryFolder(on)
  const store = await openTestStore(root, { durable: false })
  return { root, store }
}

/** Whether a promise is still open after a while. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const settled = promise.then(
    () => false,
    () => false,
  )
  return Promise.race([settled, sleep(100, true)])
}

describe.each(places)('waiting on $name', ({ folder }) => {
  test('ends with the state that is waited for, and no other', async () => {
    const { store } = await setUp(folder)
    await store.create('a', { blockIndex: 4 })
    const waiting = store.waitFor('a', 'stopped')
    await store.transition('a', 'ready', 'running')
    expect(await isWaiting(waiting)).toBe(true)
    await store.transition('a', 'running', 'stopped')
    expect(await waiting).toEqual(await store.read('a'))
  })

  test('ends at once when it is so already', async () => {
    const { store } = await setUp(folder)
    const made = await store.create('a')
    expect(await store.waitFor('a', 'ready')).toEqual(made)
    expect(await store.waitFor('nobody', 'deleted')).toBeUndefined()
  })

  test('ends when the sandbox is deleted, if that is waited for', async () => {
    const { store, root } = await setUp(folder)
    await store.create('a')
    await store.create('b')
    const waiting = ['a', 'b'].map(id => store.waitFor(id, 'deleted'))
    const other = store.waitFor('a', 'stopped')
    other.catch(() => {})
    expect(await isWaiting(Promise.race(waiting))).toBe(true)
    await store.delete('a')
    rmSync(join(root, 'b'), { recursive: true })
    expect(await Promise.all(waiting)).toEqual([undefined, undefined])
    await expect(other).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
  })

  test('notices what another process does', async () => {
    const { store, root } = await setUp(folder)
    await store.create('a')
    const waiter = startProgram('waiter', [root, 'a'])
    await nextMessage(waiter)
    const stopped = nextMessage(waiter)
    await store.transition('a', 'ready', 'stopped')
    expect(await stopped).toEqual({ state: 'stopped' })
  })
})

test('waiting for a sandbox that does not exist is NOT_FOUND; for one that has no file yet, too', async () => {
  const { root, store } = await setUp()
  await expect(store.waitFor('a', 'ready')).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
  mkdirSync(join(root, 'a'))
  await expect(store.waitFor('a', 'ready')).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
})

test('a file that is damaged ends the wait with its error', async () => {
  const { root, store } = await setUp()
  await store.create('a')
  const waiting = store.waitFor('a', 'running')
  waiting.catch(() => {})
  await sleep(50)
  writeFileSync(join(root, 'a', 'state.json'), 'x')
  await expect(waiting).rejects.toMatchObject({ code: 'CORRUPT_STATE', id: 'a' })
})

test("a signal ends it with the signal's reason, before and while it waits", async () => {
  const { store } = await setUp()
  await store.create('a')
  const mine = new Error('mine')
  await expect(store.waitFor('a', 'ready', { signal: AbortSignal.abort(mine) })).rejects.toBe(mine)
  const controller = new AbortController()
  const waiting = store.waitFor('a', 'running', { signal: controller.signal })
  waiting.catch(() => {})
  expect(await isWaiting(waiting)).toBe(true)
  controller.abort(mine)
  await expect(waiting).rejects.toBe(mine)
  const timeout = store.waitFor('a', 'running', { signal: AbortSignal.timeout(20) })
  await expect(timeout).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('closing the store ends it with CLOSED', async () => {
  const { store } = await setUp()
  await store.create('a')
  const waiting = store.waitFor('a', 'running')
  waiting.catch(() => {})
  expect(await isWaiting(waiting)).toBe(true)
  await store.close()
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(store.waitFor('a', 'ready')).rejects.toMatchObject({ code: 'CLOSED' })
})

test('bad arguments', async () => {
  const { store } = await setUp()
  await expect(store.waitFor('..', 'ready')).rejects.toMatchObject({ code: 'INVALID_ID' })
  await expect(store.waitFor('a', 'gone' as 'ready')).rejects.toMatchObject({ code: 'INVALID_STATE' })
  await expect(store.waitFor('a', 5 as unknown as 'ready')).rejects.toBeInstanceOf(TypeError)
})

test('1,000 waits of one signal are no more than one listener to it, and end each with its own', async () => {
  const { store } = await setUp(filesystems[0]?.folder)
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  onTestFinished(() => void process.off('warning', warn))
  const { signal } = new AbortController()
  for (let i = 0; i < 100; i++) await store.create(`s${i}`)
  const waiting = Array.from({ length: 1_000 }, (_, i) => store.waitFor(`s${i % 100}`, 'running', { signal }))
  await sleep(50)
  for (let i = 0; i < 100; i++) await store.transition(`s${i}`, 'ready', 'running')
  expect((await Promise.all(waiting)).every(({ state }) => state === 'running')).toBe(true)
  expect(warnings).toEqual([])
})

test('waiting takes less than 3 % of a processor, also of a busy one', async () => {
  const { root, store } = await setUp(filesystems[0]?.folder)
  for (let i = 0; i < 100; i++) await store.create(`s${i}`)
  const waiter = startProgram('waiter', [root, 's0'])
  await nextMessage(waiter)
  const shares: number[] = []
  // Once in a while V8 tidies its memory, which takes some 30 ms: the least of three times counts.
  for (let i = 0; i < 3; i++) {
    await sleep(effort(1_000, 2_000))
    const report = nextMessage(waiter)
    waiter.send('report')
    const { cpu, time } = (await report) as { cpu: number; time: number }
    expect(time).toBeGreaterThan(900)
    shares.push((cpu / time) * 100)
  }
  expect(Math.min(...shares)).toBeLessThan(3)
  const ended = nextMessage(waiter)
  await store.transition('s0', 'ready', 'stopped')
  expect(await ended).toMatchObject({ state: 'stopped' })
})
