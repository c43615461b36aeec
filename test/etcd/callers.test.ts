import { AsyncLocalStorage } from 'node:async_hooks'
import type { SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { describeEtcd, LONGER_THAN_A_TEST, TestEtcd } from '../support/etcd.js'
import { EtcdProxy } from '../support/etcd-proxy.js'
import { openTestStore } from '../support/store.js'
import { settled } from '../support/wait.js'

const CALLERS = Array.from({ length: 8 }, (_, i) => i)

describeEtcd('each of many callers of a store in etcd', () => {
  let etcd: TestEtcd
  let root: string
  let store: SandboxStore
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())
  beforeEach(async () => {
    root = etcd.newRoot()
    store = await openTestStore(root)
  })

  const increment = (id: string) =>
    store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))

  test.each(['one sandbox', 'a sandbox each'])('is in its own context in its update, of %s', async which => {
    const context = new AsyncLocalStorage<number>()
    const idOf = (caller: number) => (which === 'one sandbox' ? 'a' : `a${caller}`)
    for (const id of new Set(CALLERS.map(idOf))) await store.create(id)
    const seen = CALLERS.map(caller =>
      context.run(caller, async () => {
        let inUpdate: number | undefined
        await store.update(idOf(caller), state => {
          inUpdate = context.getStore()
          return { ...state, blockIndex: state.blockIndex + 1 }
        })
        return [inUpdate, context.getStore()]
      }),
    )
    expect(await Promise.all(seen)).toEqual(CALLERS.map(caller => [caller, caller]))
  })

  test('is in its own context in onProgress and in the loop over a watch', async () => {
    const context = new AsyncLocalStorage<number>()
    for (const caller of CALLERS) await store.create(`a${caller}`)
    const seen = CALLERS.map(caller =>
      context.run(caller, async () => {
        const contexts = new Set<number | undefined>()
        await all(store.check({ onProgress: () => contexts.add(context.getStore()) }))
        let events = 0
        for await (const { id } of store.watch()) {
          contexts.add(context.getStore())
          if (++events === CALLERS.length) await increment(id)
          if (events > CALLERS.length) break
        }
        return [...contexts]
      }),
    )
    expect(await Promise.all(seen)).toEqual(CALLERS.map(caller => [caller]))
  })

  test('has its own line in the stack of an error', async () => {
    await store.create('a')
    await etcd.put(`${new URL(root).pathname}/state/damaged`, '{')
    const nowhere = await openTestStore('etcd://127.0.0.1:1', { lockTimeout: 0 })
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.create('a'),
      () => store.create('b', { cgroupPath: 'x'.repeat(2 ** 20) }),
      () => store.transition('a', 'running', 'stopped'),
      () => store.transition('damaged', 'ready', 'running'),
      () => store.update('a', state => ({ ...state, blockIndex: 'x' as never })),
      () => store.delete('b'),
      () => store.read('b'),
      () => store.waitFor('b', 'ready'),
      () => all(store.history('b')),
      () => nowhere.transition('a', 'ready', 'running'),
      () => nowhere.read('a'),
    ]
    await Promise.all(
      calls.map(async call => {
        async function callTheStore() {
          await call()
        }
        const error: Error = await callTheStore().catch(error => error)
        expect(error).toMatchObject({ name: 'StateStoreError', id: expect.anything() })
        expect(error.stack, String(call)).toContain('callTheStore')
      }),
    )
  })

  test('has its own error for a value that etcd does not take', async () => {
    const small = await TestEtcd.start(1, ['--max-request-bytes', '65536'])
    onTestFinished(() => small.stop())
    await small.untilReady()
    const store = await openTestStore(small.newRoot(), { lockTimeout: LONGER_THAN_A_TEST })
    const sizes = [1, 100_000, 2, 2 ** 20, 3]
    const results = sizes.map((size, i) =>
      store.create(`a${i}`, { cgroupPath: 'x'.repeat(size) }).then(
        ({ state }) => state,
        ({ code, id }) => [code, id],
      ),
    )
    expect(await Promise.all(results)).toEqual([
      'ready',
      ['IO_ERROR', 'a1'],
      'ready',
      ['INVALID_STATE', 'a3'],
      'ready',
    ])
    expect(await all(store.list())).toHaveLength(3)
  })

  test('waits no longer than its own lockTimeout for a change that another one asked for', async () => {
    const proxy = await EtcdProxy.start(etcd.member.clientPort)
    onTestFinished(() => proxy.close())
    const address = `etcd://127.0.0.1:${proxy.port}${new URL(root).pathname}`
    const patient = await openTestStore(address, { lockTimeout: LONGER_THAN_A_TEST })
    const hasty = await openTestStore(address, { lockTimeout: 0 })
    await store.create('a')
    proxy.freeze()
    const first = patient.transition('a', 'ready', 'running')
    const second = hasty.transition('a', 'ready', 'running')
    await expect(second).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a' })
    expect(await settled(first, 0)).toBe('pending')
    proxy.before = () => 'pass'
    expect(await first).toMatchObject({ state: 'running' })
  })
})
