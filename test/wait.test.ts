import fs, { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { places } from './support/effort.js'
import { nextMessage, startProgram } from './support/program.js'
import { filesystems, temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'

async function setUp(on?: string) {
  const root = temporaryFolder(on)
  const store = await openTestStore(root, { durable: false })
  return { root, store }
}

/** Waits for what is so already: the waits that were asked for before have begun by then. */
async function untilOthersWait(store: SandboxStore, id = 'a'): Promise<void> {
  await store.waitFor(id, 'ready')
}

describe.each(places)('waiting on $name', ({ folder }) => {
  test('ends with the state that is waited for, and no other', async () => {
    const { store } = await setUp(folder)
    await store.create('a', { blockIndex: 4 })
    const waiting = store.waitFor('a', 'stopped')
    await untilOthersWait(store)
    await store.transition('a', 'ready', 'running')
    await store.waitFor('a', 'running')
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
    const waiting = ['a', 'b'].map(async id => [
      await store.waitFor(id, 'deleted'),
      existsSync(join(root, id)),
    ])
    const other = store.waitFor('a', 'stopped')
    other.catch(() => {})
    await untilOthersWait(store)
    await store.delete('a')
    rmSync(join(root, 'b'), { recursive: true })
    const gone = [undefined, false]
    expect(await Promise.all(waiting)).toEqual([gone, gone])
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
  await untilOthersWait(store)
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
  await untilOthersWait(store)
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
  await untilOthersWait(store)
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
  await untilOthersWait(store, 's0')
  for (let i = 0; i < 100; i++) await store.transition(`s${i}`, 'ready', 'running')
  expect((await Promise.all(waiting)).every(({ state }) => state === 'running')).toBe(true)
  expect(warnings).toEqual([])
})

test('while it waits it looks once a second, and only at its own file', async () => {
  const { root, store } = await setUp(filesystems[0]?.folder)
  for (let i = 0; i < 10; i++) await store.create(`s${i}`)
  // A minute later: a file that was just changed is read again.
  const toFake = ['setTimeout', 'clearTimeout', 'performance', 'Date'] as const
  vi.useFakeTimers({ now: Date.now() + 60_000, toFake: [...toFake] })
  onTestFinished(() => void vi.useRealTimers())
  const waiting = store.waitFor('s0', 'running')
  await untilOthersWait(store, 's0')
  const looks = (['lstatSync', 'openSync', 'readdirSync'] as const).map(name => vi.spyOn(fs, name))
  syncBuiltinESMExports()
  onTestFinished(() => {
    for (const look of looks) look.mockRestore()
    syncBuiltinESMExports()
  })
  await vi.advanceTimersByTimeAsync(10_000)
  const paths = looks.flatMap(({ mock }) => mock.calls.map(([path]) => path))
  expect(paths).toEqual(Array(10).fill(join(root, 's0', 'state.json')))
  await store.transition('s0', 'ready', 'running')
  expect(await waiting).toMatchObject({ state: 'running' })
})
