import type { SandboxStore, StateEvent } from 'sandbox-state'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { describeEtcd, LONGER_THAN_A_TEST, TestEtcd } from '../support/etcd.js'
import { type EtcdProxy, storesBesideProxy, type Verdict } from '../support/etcd-proxy.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

function indexOf(event: StateEvent): number | undefined {
  return 'state' in event ? event.state.blockIndex : undefined
}

describeEtcd('a watch over etcd', () => {
  let etcd: TestEtcd
  let proxy: EtcdProxy
  /** Watches through the proxy. */
  let store: SandboxStore
  let writer: SandboxStore
  let prefix: string

  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  beforeEach(async () => {
    ;({ proxy, prefix, store, other: writer } = await storesBesideProxy(etcd))
  })

  const watches = () => proxy.opened

  /** What a watch says from now on; ends with the store. */
  function follow(id?: string) {
    const events: StateEvent[] = []
    const ended = (async () => {
      for await (const event of store.watch(id === undefined ? {} : { id })) events.push(event)
    })()
    return { events, ended }
  }

  const count = (id: string, times: number) =>
    Array.from({ length: times }).reduce<Promise<unknown>>(
      last => last.then(() => writer.update(id, s => ({ ...s, blockIndex: s.blockIndex + 1 }))),
      Promise.resolve(),
    )

  test('reports everything from the start, in order', async () => {
    await writer.create('b')
    await writer.create('a', { blockIndex: 1 })
    const { events, ended } = follow()
    await until('the watch listens', () => watches() === 1)
    await writer.transition('a', 'ready', 'running')
    await writer.create('c')
    await writer.delete('a', { force: true })
    await writer.create('a')
    await until('all events have come', () => events.length === 6)
    await store.close()
    await ended
    expect(events).toMatchObject([
      { type: 'created', id: 'a', state: { blockIndex: 1 } },
      { type: 'created', id: 'b' },
      { type: 'changed', id: 'a', state: { state: 'running' }, previous: { state: 'ready' } },
      { type: 'created', id: 'c' },
      { type: 'deleted', id: 'a', previous: { state: 'running' } },
      { type: 'created', id: 'a', state: { state: 'ready', blockIndex: 0 } },
    ])
  })

  test('that is cut off twice misses nothing and repeats nothing', async () => {
    await writer.create('a')
    await writer.create('b')
    const { events } = follow()
    await until('the watch listens', () => watches() === 1)
    await count('a', 10)
    for (let cut = 1; cut <= 2; cut++) {
      await until('some events have come', () => events.length > 2)
      const changes = Promise.all([count('a', 10), count('b', 10)])
      expect(proxy.cutWatches()).toBe(1)
      await changes
      await until('it listens again', () => watches() === 1 + cut)
      await count('a', 5)
    }
    await until('the last event of a has come', () =>
      events.some(event => 'state' in event && event.id === 'a' && event.state?.blockIndex === 40),
    )
    const indexes = (id: string) =>
      events.flatMap(event => (event.id === id && 'state' in event ? [event.state.blockIndex] : []))
    expect(indexes('a')).toEqual(Array.from({ length: 41 }, (_, i) => i))
    await until('the last event of b has come', () => indexes('b').at(-1) === 20)
    expect(indexes('b')).toEqual(Array.from({ length: 21 }, (_, i) => i))
  })

  test('does not repeat events that a member sends again', async () => {
    await writer.create('a')
    const { events } = follow()
    await until('the watch listens', () => watches() === 1)
    await count('a', 3)
    await writer.create('b')
    await writer.delete('b')
    await until('all events have come', () => events.length === 6)
    // As from a member that does not keep to the place that it was asked to begin at.
    proxy.rewrite = ({ path, body }) =>
      path === '/v3/watch' ? body.replace(/"start_revision":"\d+"/, '"start_revision":"1"') : body
    proxy.cutWatches()
    await until('the watch listens again', () => watches() === 2)
    await count('a', 1)
    await until('the news has come', () => events.some(event => indexOf(event) === 4))
    expect(events.map(event => [event.type, event.id, indexOf(event)])).toEqual([
      ['created', 'a', 0],
      ['changed', 'a', 1],
      ['changed', 'a', 2],
      ['changed', 'a', 3],
      ['created', 'b', 0],
      ['deleted', 'b', undefined],
      ['changed', 'a', 4],
    ])
  })

  test('whose list is compacted away while it is read never goes back in time', async () => {
    const ids = Array.from({ length: 130 }, (_, i) => `s${String(i).padStart(3, '0')}`)
    await Promise.all(ids.map(id => writer.create(id)))
    let pages = 0
    proxy.before = async ({ path }): Promise<Verdict> => {
      if (path !== '/v3/kv/txn') return 'pass'
      pages++
      // Between the first page and the second, one of the second changes twice, and the page's time is compacted
      // away, but not the two changes.
      if (pages === 2) {
        await count('s129', 2)
        await etcd.compact(1n)
      }
      return 'pass'
    }
    const { events } = follow()
    await until('the watch listens', () => watches() > 0)
    await count('s129', 1)
    await until('the news has come', () => events.some(event => event.id === 's129' && indexOf(event) === 3))
    const indexes = events.filter(event => event.id === 's129').map(indexOf)
    expect(indexes).toEqual([2, 3])
    // The second page was asked for again; then the list began anew. A machine may be so slow that more is asked again.
    expect(pages).toBeGreaterThanOrEqual(5)
  })

  test('whose place etcd has compacted away goes on from what is there', async () => {
    await writer.create('a')
    await writer.create('b')
    await writer.create('unchanged')
    const { events } = follow()
    await until('the watch listens', () => watches() === 1)
    let compacted = false
    proxy.before = ({ path }) => (path === '/v3/watch' && !compacted ? 'cut' : 'pass')
    proxy.cutWatches()
    await count('a', 3)
    await writer.delete('b')
    await writer.create('c')
    await etcd.compact()
    compacted = true
    await until('the rest has come', () => events.length === 6)
    await count('a', 1)
    await until('it listens on', () => events.length === 7)
    expect(events.slice(0, 3)).toMatchObject([
      { type: 'created', id: 'a' },
      { type: 'created', id: 'b' },
      { type: 'created', id: 'unchanged' },
    ])
    expect(events.slice(3)).toMatchObject([
      { type: 'changed', id: 'a', state: { blockIndex: 3 }, previous: { blockIndex: 0 } },
      { type: 'created', id: 'c' },
      { type: 'deleted', id: 'b' },
      { type: 'changed', id: 'a', state: { blockIndex: 4 } },
    ])
  })

  test('goes on after a value that is not a state, which is an error event', async () => {
    await writer.create('a')
    const { events } = follow()
    await until('the watch listens', () => watches() === 1)
    await etcd.put(`${prefix}/state/a`, '{"state":"dead"}')
    await etcd.put(`${prefix}/state/a`, 'not JSON')
    await etcd.put(`${prefix}/state/no id`, '{}')
    await writer.create('b')
    await etcd.put(`${prefix}/state/a`, '{"state":"running"}')
    await etcd.delete(`${prefix}/state/a`)
    await until('all events have come', () => events.length === 6)
    expect(events).toMatchObject([
      { type: 'created', id: 'a' },
      { type: 'error', id: 'a', error: { code: 'INVALID_STATE', path: `${prefix}/state/a` } },
      { type: 'error', id: 'a', error: { code: 'CORRUPT_STATE' }, previous: { state: 'ready' } },
      { type: 'created', id: 'b' },
      { type: 'changed', id: 'a', state: { state: 'running' }, previous: { state: 'ready' } },
      { type: 'deleted', id: 'a', previous: { state: 'running' } },
    ])
  })

  test('of one sandbox reports no other, not even one whose id begins alike', async () => {
    await writer.create('ab')
    const { events } = follow('a')
    await until('the watch listens', () => watches() === 1)
    await writer.create('a')
    await writer.create('a.b')
    await writer.delete('ab')
    await writer.delete('a')
    await until('all events have come', () => events.length === 2)
    expect(events).toMatchObject([
      { type: 'created', id: 'a' },
      { type: 'deleted', id: 'a' },
    ])
  })

  test('is what waitFor waits by', async () => {
    await writer.create('a')
    const stopped = store.waitFor('a', 'stopped')
    const gone = store.waitFor('a', 'deleted')
    await until('both listen', () => watches() === 2)
    await writer.transition('a', 'ready', 'stopped')
    expect(await stopped).toMatchObject({ state: 'stopped' })
    await writer.delete('a')
    expect(await gone).toBeUndefined()
    await expect(store.waitFor('a', 'ready')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await writer.create('b')
    const late = store.waitFor('b', 'running', { signal: AbortSignal.timeout(50) })
    await expect(late).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('whose member falls silent goes on with another', async () => {
    const both = await openTestStore(`etcd://127.0.0.1:${proxy.port},${etcd.hosts}${prefix}`)
    await writer.create('a')
    const events = both.watch()
    expect((await events.next()).value).toMatchObject({ type: 'created' })
    const next = events.next()
    await until('the watch listens', () => watches() === 1)
    proxy.freeze()
    await count('a', 1)
    expect((await next).value).toMatchObject({ type: 'changed', state: { blockIndex: 1 } })
    await events.return()
  })

  test('ends with its signal, also while no member is there', async () => {
    const abort = new AbortController()
    const events = store.watch({ signal: abort.signal })
    const first = events.next()
    await until('the watch listens', () => watches() === 1)
    proxy.before = () => 'cut'
    proxy.cutWatches()
    await until('it looks for a member', () => (proxy.counts.get('/v3/watch') ?? 0) > 2)
    abort.abort()
    expect(await first).toEqual({ done: true, value: undefined })
  })

  test('ends with its signal, also while etcd does not say what is there', async () => {
    const patient = await openTestStore(`etcd://127.0.0.1:${proxy.port}${prefix}`, {
      lockTimeout: LONGER_THAN_A_TEST,
    })
    proxy.freeze()
    const abort = new AbortController()
    const first = patient.watch({ signal: abort.signal }).next()
    const waited = patient.waitFor('a', 'running', { signal: abort.signal })
    await until('both ask', () => (proxy.counts.get('/v3/kv/txn') ?? 0) >= 2)
    abort.abort(new Error('enough'))
    expect(await first).toEqual({ done: true, value: undefined })
    await expect(waited).rejects.toThrow('enough')
  })

  test('that cannot begin is an IO_ERROR', async () => {
    proxy.before = () => 'cut'
    const hasty = await openTestStore(`etcd://127.0.0.1:${proxy.port}${prefix}`, { lockTimeout: 0 })
    await expect(hasty.watch().next()).rejects.toMatchObject({ name: 'StateStoreError', code: 'IO_ERROR' })
  })
})
