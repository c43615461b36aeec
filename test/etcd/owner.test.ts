import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { type Ownership, openStore } from 'sandbox-state'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  type TestContext,
  test,
} from 'vitest'
import { all } from '../support/all.js'
import { long } from '../support/effort.js'
import { base64, describeEtcd, TestEtcd } from '../support/etcd.js'
import { openWithLease } from '../support/etcd-owner.js'
import { EtcdProxy, isChange, type Passing, type Verdict } from '../support/etcd-proxy.js'
import { ownershipOf } from '../support/owner.js'
import { killProgram, nextMessage, startProgram } from '../support/program.js'
import { openTestStore } from '../support/store.js'
import { settled, until } from '../support/wait.js'

/** In seconds, of those that are to end: short, but not as short as a machine may stand still. */
const LEASE = 2

const isRenewal = ({ path }: Passing) => path === '/v3/lease/keepalive'
const isRead = (passing: Passing) => passing.path === '/v3/kv/txn' && !isChange(passing)

async function untilLost({ signal }: Ownership): Promise<unknown> {
  if (!signal.aborted) await once(signal, 'abort')
  return signal.reason
}

/** The record of an owner that died. */
function recordOf(pid: number): string {
  const since = new Date(pid).toISOString()
  return JSON.stringify({ pid, start: '1', boot: 'b', host: 'elsewhere', command: 'node x.js', since })
}

describeEtcd('an owner on etcd', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  /** Some running sandboxes; `store` sees etcd through a proxy. */
  async function setUp(
    { onTestFinished }: Pick<TestContext, 'onTestFinished'>,
    { lease = 10, on = etcd, ids = ['a'] } = {},
  ) {
    const proxy = await EtcdProxy.start(on.member.clientPort)
    const root = on.newRoot()
    const prefix = new URL(root).pathname
    const [store, other] = [
      openWithLease(`etcd://127.0.0.1:${proxy.port}${prefix}`, lease),
      await openStore(root),
    ]
    onTestFinished(async () => {
      await store.close()
      await other.close()
      await proxy.close()
    })
    for (const id of ids) {
      await other.create(id)
      await other.transition(id, 'ready', 'running')
    }
    return { proxy, root, prefix, store, other }
  }

  test('keeps a record, and a key with a lease of 10 s', async context => {
    const { expect } = context
    const { prefix, other } = await setUp(context)
    const owner = await other.own('a')
    const [alive, record] = await Promise.all(
      ['alive', 'owner'].map(async place => {
        const key = base64(`${prefix}/${place}/a`)
        const { kvs } = await etcd.ask('kv/range', { key })
        return (kvs as { value: string; lease?: string }[])[0]
      }),
    )
    expect(record?.lease).toBeUndefined()
    const text = Buffer.from(record?.value ?? '', 'base64').toString()
    expect(JSON.parse(text)).toMatchObject({
      pid: process.pid,
      host: os.hostname(),
      since: expect.any(String),
    })
    const lease = await etcd.ask('lease/timetolive', { ID: alive?.lease })
    expect(lease).toMatchObject({ grantedTTL: '10' })
    await owner.release()
    const left = await etcd.dump(`${prefix}/`)
    expect(left.map(([key]) => key).filter(key => /owner|alive/.test(key))).toEqual([])
  })

  describe.skipIf(process.platform !== 'linux')('whose machine was suspended', () => {
    const { uptime } = os
    const start = uptime()
    /** Sets the clock of an owner, which stands still otherwise, to some seconds after the start. */
    function setUptime(seconds: number): void {
      os.uptime = () => start + seconds
      syncBuiltinESMExports()
    }
    beforeEach(() => setUptime(0))
    afterEach(() => {
      os.uptime = uptime
      syncBuiltinESMExports()
    })

    test('for longer than the lease loses it when it goes on', async context => {
      const { store } = await setUp(context)
      const { signal } = await store.own('a')
      setUptime(60)
      await once(signal, 'abort')
      expect(signal.reason).toMatchObject({ code: 'IO_ERROR', id: 'a' })
    })

    test('hears why its last renewal failed', async context => {
      const { proxy, store } = await setUp(context)
      const owner = await store.own('a')
      proxy.before = passing => (isRenewal(passing) ? 'refuse' : 'pass')
      setUptime(4)
      await until('a renewal has failed', () => (proxy.counts.get('/v3/lease/keepalive') ?? 0) > 1)
      setUptime(60)
      const message = expect.stringMatching(/: it was not renewed for \d+\.\d s: etcd at http:.* 404/)
      expect(await untilLost(owner)).toMatchObject({ code: 'IO_ERROR', message, cause: { code: 'IO_ERROR' } })
    })

    test('while it renewed the lease counts from before it asked', async context => {
      const { proxy, store } = await setUp(context)
      const owner = await store.own('a')
      let renewals = 0
      proxy.before = passing => {
        if (!isRenewal(passing)) return 'pass'
        if (++renewals > 1) return new Promise(() => {})
        setUptime(4 + 6)
        return 'pass'
      }
      setUptime(4)
      // The first was answered, and as that was sent 6 s ago, the next is due.
      await until('the lease is renewed again', () => renewals === 2)
      expect(owner.signal.aborted).toBe(false)
      setUptime(4 + 8.5)
      expect(owner.signal.aborted).toBe(true)
    })
  })

  test('is shown in a list of any length, whatever the ids', async context => {
    const { expect } = context
    const ids = ['a', 'a-b', 'a.b', 'a0', ...Array.from({ length: 130 }, (_, i) => `s${i}`)].sort()
    const { prefix, other } = await setUp(context, { ids: [] })
    const orphans = ids.filter((_, i) => i % 5 === 0 || i > 123)
    const put = (key: string, value: string) => ({ request_put: { key: base64(key), value: base64(value) } })
    const puts = [
      ...ids.map(id => put(`${prefix}/state/${id}`, '{"state":"running"}')),
      ...orphans.map((id, i) => put(`${prefix}/owner/${id}`, recordOf(i + 1))),
    ]
    for (const from of [0, 100]) await etcd.ask('kv/txn', { success: puts.slice(from, from + 100) })
    const owner = await other.own('a-b')
    expect((await all(other.list({ owner: 'owned' }))).map(({ id }) => id)).toEqual(['a-b'])
    const found = (await all(other.orphans())).map(({ id, owner: { pid } }) => [id, pid])
    expect(found).toEqual(orphans.map((id, i) => [id, i + 1]).filter(([id]) => id !== 'a-b'))
    await owner.release()
  })

  // Most of these wait for a lease to end, together.
  describe.concurrent('whose lease ends', () => {
    test('because it was killed leaves an orphan, which another takes, not before', async context => {
      const { expect } = context
      const { root, other } = await setUp(context)
      const program = startProgram('etcd-owner', [root, String(3 * LEASE)], {}, context.onTestFinished)
      await nextMessage(program)
      await killProgram(program)
      await expect(other.own('a')).rejects.toMatchObject({
        code: 'OWNED',
        message: expect.stringContaining(`is owned by pid ${program.pid} (node etcd-owner.mjs) on `),
      })
      expect(await all(other.reap())).toEqual([])
      await until('it is an orphan', async () => (await ownershipOf(other)) === 'orphaned')
      const reason = `owner died: pid ${program.pid} (node etcd-owner.mjs)`
      expect(await all(other.reap({ dryRun: true }))).toMatchObject([{ id: 'a', reason }])
      await (await other.own('a')).release()
      expect(await ownershipOf(other)).toBe('unowned')
    })

    test('because its event loop was blocked learns of it as soon as it runs again', async context => {
      const { expect } = context
      const { root, other } = await setUp(context)
      const program = startProgram('etcd-owner', [root, String(LEASE)], {}, context.onTestFinished)
      await nextMessage(program)
      program.send(LEASE * 1000 + 700)
      const owner = await other.own('a', { wait: true })
      const report = await nextMessage(program)
      const message = expect.stringMatching(
        /^sandbox a: the lease of its owner is over: it was not renewed for \d/,
      )
      expect(report).toEqual({ asked: true, heard: true, message })
      expect(await ownershipOf(other)).toBe('owned')
      await owner.release()
    })

    test('because etcd is silent learns of it before another gets in', async context => {
      const { expect } = context
      const { proxy, store, other } = await setUp(context, { lease: LEASE })
      const owner = await store.own('a')
      proxy.before = passing => (isRenewal(passing) ? new Promise(() => {}) : 'pass')
      const order: string[] = []
      void untilLost(owner).then(() => order.push('lost'))
      const next = await other.own('a', { wait: true })
      order.push('taken')
      expect(order).toEqual(['lost', 'taken'])
      expect(owner.signal.reason).toMatchObject({ code: 'IO_ERROR', id: 'a' })
      await owner.release()
      expect(await ownershipOf(other)).toBe('owned')
      await next.release()
    })

    test('because somebody revoked it learns of it at the next renewal', async context => {
      const { expect } = context
      const { prefix, store, other } = await setUp(context, { lease: 3 * LEASE })
      const owner = await store.own('a')
      const key = base64(`${prefix}/alive/a`)
      const { kvs } = await etcd.ask('kv/range', { key })
      await etcd.ask('lease/revoke', { ID: (kvs as { lease: string }[])[0]?.lease })
      expect(await ownershipOf(other)).toBe('orphaned')
      const message = 'sandbox a: the lease of its owner is over: etcd no longer has it'
      expect(await untilLost(owner)).toMatchObject({ code: 'IO_ERROR', message })
      await owner.release()
      expect(await ownershipOf(other)).toBe('orphaned')
    })

    test.runIf(long)(
      'much later goes on when a release gets no answer, and hears of a delete afterwards',
      async context => {
        const { expect } = context
        const { proxy, prefix, other } = await setUp(context)
        const hasty = openWithLease(`etcd://127.0.0.1:${proxy.port}${prefix}`, 20, 0)
        context.onTestFinished(() => hasty.close())
        const owner = await hasty.own('a')
        proxy.before = passing => (isChange(passing) ? 'cut' : 'pass')
        await expect(owner.release()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', id: 'a' })
        proxy.before = () => 'pass'
        expect(await ownershipOf(other)).toBe('owned')
        await other.delete('a', { force: true })
        expect(await untilLost(owner)).toMatchObject({ code: 'NOT_FOUND', id: 'a' })
      },
    )

    test.runIf(long)(
      'while etcd is down hears of it, and leaves an orphan when etcd is back',
      async context => {
        const { expect, onTestFinished } = context
        const own = await TestEtcd.ready()
        onTestFinished(() => own.stop())
        const { prefix, store, other } = await setUp(context, { lease: LEASE, on: own, ids: ['a', 'b', 'c'] })
        await own.put(`${prefix}/owner/b`, recordOf(4711))
        const [owner, patient] = [await store.own('a'), await other.own('c')]
        await own.member.kill()
        await untilLost(owner)
        own.member.start()
        await own.untilReady()
        // What began before its end goes on: a lease begins anew, an orphan stays one.
        expect((await all(other.orphans())).map(({ id }) => id)).toEqual(['b'])
        await until('the lease is over', async () => (await ownershipOf(other)) === 'orphaned')
        expect((await all(other.reap())).map(({ id }) => id)).toEqual(['a', 'b'])
        expect(patient.signal.aborted).toBe(false)
        await other.delete('c', { force: true })
        expect(await untilLost(patient)).toMatchObject({ code: 'NOT_FOUND', id: 'c' })
      },
    )
  })

  test("loses the sandbox at once when its record is another's", async context => {
    const { expect } = context
    const { prefix, store } = await setUp(context)
    const owner = await store.own('a')
    await etcd.put(`${prefix}/owner/a`, recordOf(4711))
    const message = expect.stringContaining('sandbox a is owned by pid 4711 (node x.js) on elsewhere')
    expect(await untilLost(owner)).toMatchObject({ code: 'OWNED', id: 'a', message })
    await owner.release()
    expect(await etcd.dump(`${prefix}/owner/`)).toHaveLength(1)
  })

  test('is the owner, or released, even when the answer to that request was lost', async context => {
    const { expect } = context
    const { proxy, store, other } = await setUp(context)
    let cuts = 0
    proxy.after = passing => (isChange(passing) && cuts++ % 2 === 0 ? 'cut' : 'pass')
    const owner = await store.own('a')
    expect(cuts).toBe(2)
    await expect(other.own('a')).rejects.toMatchObject({ code: 'OWNED' })
    await owner.release()
    expect(cuts).toBe(4)
    expect(await ownershipOf(other)).toBe('unowned')
    expect(owner.signal.aborted).toBe(false)
  })

  test.each(['before', 'after'])(
    'is not lost to its own release, when it begins to read its record %s that',
    async when => {
      const { proxy, store } = await setUp({ onTestFinished })
      const owner = await store.own('a')
      await until('the watch listens', () => proxy.opened === 1)
      let [isReading, isReleased, hasRead] = [false, false, false]
      proxy.before = async (passing): Promise<Verdict> => {
        if (isRead(passing)) {
          isReading = true
          await until('the sandbox is released', () => isReleased)
        }
        return 'pass'
      }
      // The release is answered after the record was read, which it has removed.
      proxy.after = async (passing): Promise<Verdict> => {
        if (isRead(passing)) hasRead = true
        if (!isChange(passing)) return 'pass'
        isReleased = true
        await until('the record was read', () => hasRead)
        return 'pass'
      }
      if (when === 'before') {
        proxy.cutWatches()
        await until('it looks for its record', () => isReading)
      }
      await owner.release()
      expect(owner.signal.aborted).toBe(false)
    },
  )

  test('shares one watch with the other owners of its store; so do those that wait', async context => {
    const { expect } = context
    const ids = Array.from({ length: 10 }, (_, i) => `s${i}`)
    const { proxy, store, other } = await setUp(context, { ids: [...ids, 'deleted'] })
    const deleted = await store.own('deleted')
    const [mine, others] = [ids.slice(0, 5), ids.slice(5)]
    const owners = await Promise.all(mine.map(id => store.own(id)))
    const awaited = await Promise.all(others.map(id => other.own(id)))
    const waits = others.map(id => store.own(id, { wait: true }))
    await until('both watches listen', () => proxy.opened >= 2)
    await other.delete('deleted', { force: true })
    expect(await untilLost(deleted)).toMatchObject({ code: 'NOT_FOUND', id: 'deleted' })
    await Promise.all(awaited.map(owner => owner.release()))
    owners.push(...(await Promise.all(waits)))
    expect(owners.filter(({ signal }) => signal.aborted)).toEqual([])
    expect(proxy.opened).toBe(2)
    await Promise.all(owners.map(owner => owner.release()))
  })

  test('hears of a delete that the shared watch reported before the ownership was answered', async context => {
    const { expect } = context
    const { proxy, store, other } = await setUp(context, { ids: ['a', 'b', 'c'] })
    const [b, c] = [await store.own('b'), await store.own('c')]
    proxy.after = async (passing): Promise<Verdict> => {
      if (!isChange(passing)) return 'pass'
      for (const id of ['a', 'b']) await other.delete(id, { force: true })
      await untilLost(b)
      return 'pass'
    }
    const a = await store.own('a')
    expect(await untilLost(a)).toMatchObject({ code: 'NOT_FOUND', id: 'a' })
    expect(c.signal.aborted).toBe(false)
  })

  test('cannot own a sandbox that is being deleted', async context => {
    const { proxy, prefix, store, other } = await setUp(context)
    proxy.before = async (passing): Promise<Verdict> => {
      if (isChange(passing)) await other.delete('a', { force: true })
      return 'pass'
    }
    await expect(store.own('a')).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
    expect(await etcd.dump(`${prefix}/owner/`)).toEqual([])
  })

  test('that waits sends no request until the watch reports a change, and survives a broken connection', async context => {
    const { expect } = context
    const { proxy, store, other } = await setUp(context)
    const owner = await other.own('a')
    const waiting = store.own('a', { wait: true })
    await until('the watch listens', () => proxy.opened === 1)
    proxy.cutWatches()
    await until('it listens again', () => proxy.opened === 2)
    const asked = proxy.counts.get('/v3/kv/txn')
    expect(await settled(waiting, 300)).toBe('pending')
    expect(proxy.counts.get('/v3/kv/txn')).toBe(asked)
    await owner.release()
    await (await waiting).release()
  })

  test('that comes or goes just before a reap is not reaped', async context => {
    const { expect } = context
    const ids = ['deleted', 'other', 'owned', 'released', 'same']
    const { proxy, prefix, store, other } = await setUp(context, { ids })
    for (const id of ids) await etcd.put(`${prefix}/owner/${id}`, recordOf(1))
    const before: Record<string, () => Promise<unknown>> = {
      deleted: () => other.delete('deleted', { force: true }),
      other: () => etcd.put(`${prefix}/owner/other`, recordOf(2)),
      owned: () => other.own('owned').then(owner => context.onTestFinished(() => owner.release())),
      released: () => etcd.delete(`${prefix}/owner/released`),
    }
    // Right before the transaction that would stop it.
    proxy.before = async (passing): Promise<Verdict> => {
      const written = Buffer.from(/"request_put":\{"key":"([^"]*)/.exec(passing.body)?.[1] ?? '', 'base64')
      const id = written.toString().split('/').at(-1) ?? ''
      if (isChange(passing)) await before[id]?.()
      delete before[id]
      return 'pass'
    }
    expect((await all(store.reap())).map(({ id }) => id)).toEqual(['same'])
    expect(before).toEqual({})
    const states = (await all(other.list())).map(entry => [entry.id, 'state' in entry && entry.state.state])
    expect(Object.fromEntries(states)).toEqual({
      other: 'running',
      owned: 'running',
      released: 'running',
      same: 'stopped',
    })
    expect(await ownershipOf(other, 'same')).toBe('unowned')
    expect(await all(other.history('same'))).toContainEqual(
      expect.objectContaining({ to: 'stopped', reason: 'owner died: pid 1 (node x.js)' }),
    )
  })

  test('whose sandbox was removed with etcdctl loses it when another is created in its place', async context => {
    const { expect } = context
    const { prefix, store, other } = await setUp(context)
    const owner = await store.own('a')
    await etcd.delete(`${prefix}/state/a`)
    await other.create('a')
    expect(await ownershipOf(other)).toBe('unowned')
    expect(await untilLost(owner)).toMatchObject({ code: 'NOT_FOUND' })
  })

  test.each(['release', 'end'])('keeps no process from ending: %s', async what => {
    const root = etcd.newRoot()
    const store = await openTestStore(root)
    await store.create('a')
    const program = startProgram('etcd-owner', [root, '10'])
    await nextMessage(program)
    const ended = once(program, 'exit')
    program.send(what)
    expect(await ended).toEqual([0, null])
    expect(await ownershipOf(store)).toBe(what === 'release' ? 'unowned' : 'owned')
  })

  test('keeps no process from ending while etcd is silent', async context => {
    const { proxy, prefix } = await setUp(context)
    const program = startProgram('etcd-owner', [`etcd://127.0.0.1:${proxy.port}${prefix}`, '10'])
    await nextMessage(program)
    await until('the watch listens', () => proxy.opened === 1)
    let isAsked = false
    proxy.before = () => {
      isAsked = true
      return new Promise(() => {})
    }
    proxy.cutWatches()
    await until('the owner looks at its record', () => isAsked)
    const ended = once(program, 'exit')
    program.send('end')
    expect(await ended, 'it ended before the lease').toEqual([0, null])
  })

  test('keeps the connections of a store that was closed until it is over', async context => {
    const { expect } = context
    const { proxy, store } = await setUp(context, { ids: ['a', 'b'] })
    const owners = [await store.own('a'), await store.own('b')]
    await store.close()
    for (const owner of owners) {
      expect(await proxy.connections()).toBeGreaterThan(0)
      await owner.release()
    }
    await until('all connections are closed', async () => (await proxy.connections()) === 0)
  })
})
