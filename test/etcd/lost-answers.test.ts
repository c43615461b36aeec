import type { SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { describeEtcd, LONGER_THAN_A_TEST, TestEtcd } from '../support/etcd.js'
import { type EtcdProxy, isChange, storesBesideProxy, type Verdict } from '../support/etcd-proxy.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

const SAME_DELETIONS_KEY_AS_A = 'x63'

describeEtcd('when an answer of etcd is lost,', () => {
  let etcd: TestEtcd
  let proxy: EtcdProxy
  /** Sees etcd through the proxy. */
  let store: SandboxStore
  /** Sees etcd itself: another host, say. */
  let other: SandboxStore
  let prefix: string

  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  beforeEach(async () => {
    ;({ proxy, prefix, store, other } = await storesBesideProxy(etcd))
  })

  /** Cuts the answer to the first change after etcd has made it, and does something in between. */
  function cutAfterCommit(meanwhile: () => Promise<unknown> = async () => {}) {
    const cut = { times: 0 }
    proxy.after = async passing => {
      if (cut.times > 0 || !isChange(passing)) return 'pass'
      cut.times++
      await meanwhile()
      return 'cut'
    }
    return cut
  }

  /** Cuts the first change off before etcd has seen it, and does something in between. */
  function cutBeforeCommit(meanwhile: () => Promise<unknown>) {
    const cut = { times: 0 }
    proxy.before = async passing => {
      if (cut.times > 0 || !isChange(passing)) return 'pass'
      cut.times++
      await meanwhile()
      return 'cut'
    }
    return cut
  }

  const increment = (on: SandboxStore) =>
    on.update('a', state => ({ ...state, blockIndex: state.blockIndex + 1 }))

  test.each<[kind: string, change: () => Promise<unknown>, after: object]>([
    ['create', () => store.create('a', { blockIndex: 10 }), { state: 'ready', blockIndex: 10 }],
    ['transition', () => store.transition('a', 'ready', 'running'), { state: 'running', blockIndex: 10 }],
    ['update', () => increment(store), { state: 'ready', blockIndex: 11 }],
    ['delete', () => store.delete('a'), { code: 'NOT_FOUND' }],
  ])('a %s that was made is acknowledged, and is made only once', async (kind, change, after) => {
    if (kind !== 'create') await other.create('a', { blockIndex: 10 })
    const before = await etcd.revision()
    const cut = cutAfterCommit()
    await change()
    expect(cut.times).toBe(1)
    expect(await etcd.revision()).toBe(before + 1n)
    expect(await other.read('a').catch((error: unknown) => error)).toMatchObject(after)
  })

  test.each([
    ['changed by another', () => increment(other)],
    ['deleted by another', () => other.delete('a', { force: true })],
    [
      'deleted and made again by another',
      async () => {
        await other.delete('a', { force: true })
        await other.create('a', { blockIndex: 50 })
        await increment(other)
      },
    ],
    [
      'changed more often than records are kept',
      async () => {
        for (let i = 0; i < 105; i++) await increment(other)
      },
    ],
  ])(
    'an update that was made is acknowledged, although the sandbox was %s meanwhile',
    async (_, meanwhile) => {
      await other.create('a', { blockIndex: 10 })
      let calls = 0
      const cut = cutAfterCommit(meanwhile)
      const updated = await store.update('a', state => {
        calls++
        return { ...state, blockIndex: state.blockIndex + 100 }
      })
      expect([cut.times, calls, updated.blockIndex]).toEqual([1, 1, 110])
    },
  )

  test('a create is acknowledged, although the sandbox was deleted meanwhile', async () => {
    const cut = cutAfterCommit(() => other.delete('a'))
    expect(await store.create('a', { blockIndex: 3 })).toMatchObject({ blockIndex: 3 })
    expect(cut.times).toBe(1)
    await expect(other.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('a delete is acknowledged, although the sandbox was created again meanwhile', async () => {
    await other.create('a')
    const cut = cutAfterCommit(async () => {
      await other.create('a', { blockIndex: 4 })
      await other.delete('a')
      await other.create('a', { blockIndex: 5 })
    })
    await store.delete('a')
    expect(cut.times).toBe(1)
    expect((await other.read('a')).blockIndex).toBe(5)
  })

  test('a change that was not made is made once, on top of what another did meanwhile', async () => {
    await other.create('a', { blockIndex: 10 })
    const cut = cutBeforeCommit(() => increment(other))
    const seen: number[] = []
    const updated = await store.update('a', state => {
      seen.push(state.blockIndex)
      return { ...state, blockIndex: state.blockIndex + 100 }
    })
    expect(cut.times).toBe(1)
    expect(seen).toEqual([10, 11])
    expect(updated.blockIndex).toBe(111)
    expect((await other.read('a')).blockIndex).toBe(111)
  })

  test('the deletion of another sandbox with the same deletions key is not mistaken for its own', async () => {
    const deleteAnother = async () => {
      await other.create(SAME_DELETIONS_KEY_AS_A)
      await other.delete(SAME_DELETIONS_KEY_AS_A)
    }
    const beforeCreate = cutBeforeCommit(deleteAnother)
    await store.create('a', { blockIndex: 10 })
    expect(beforeCreate.times).toBe(1)
    let changes = 0
    proxy.before = async (passing): Promise<Verdict> => {
      if (isChange(passing) && changes++ === 0) await deleteAnother()
      return 'pass'
    }
    const afterUpdate = cutAfterCommit(async () => {
      await other.delete('a')
      await other.create('a', { blockIndex: 50 })
    })
    expect((await increment(store)).blockIndex).toBe(11)
    expect(afterUpdate.times).toBe(1)
    expect((await other.read('a')).blockIndex).toBe(50)
  })

  test('a create is ALREADY_EXISTS if another was faster', async () => {
    cutBeforeCommit(() => other.create('a', { blockIndex: 1 }))
    await expect(store.create('a', { blockIndex: 2 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect((await other.read('a')).blockIndex).toBe(1)
  })

  test('a transition that another made instead is STATE_MISMATCH, not a success', async () => {
    await other.create('a')
    cutBeforeCommit(() => other.transition('a', 'ready', 'running'))
    const move = store.transition('a', 'ready', 'running')
    await expect(move).rejects.toMatchObject({ code: 'STATE_MISMATCH' })
    expect(await all(other.history('a'))).toHaveLength(2)
  })

  test('a change is OUTCOME_UNKNOWN, never a guess, when etcd has compacted its record away', async () => {
    await other.create('a', { blockIndex: 10 })
    const cut = cutAfterCommit(async () => {
      await other.delete('a')
      await other.create('a', { blockIndex: 50 })
      await etcd.compact()
    })
    const update = store.update('a', state => ({ ...state, blockIndex: state.blockIndex + 100 }))
    await expect(update).rejects.toMatchObject({ name: 'StateStoreError', code: 'OUTCOME_UNKNOWN', id: 'a' })
    expect(cut.times).toBe(1)
    expect((await other.read('a')).blockIndex).toBe(50)
  })

  test('a change is OUTCOME_UNKNOWN in the end if every answer is lost', async () => {
    const hasty = await openTestStore(`etcd://127.0.0.1:${proxy.port}${prefix}`, { lockTimeout: 0 })
    await other.create('a')
    proxy.after = passing => (isChange(passing) ? 'cut' : 'pass')
    const move = hasty.transition('a', 'ready', 'running')
    await expect(move).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN', id: 'a' })
    expect((await other.read('a')).state).toBe('running')
  })

  test('a create that arrives late does not bring back what was deleted since', async () => {
    let release = () => {}
    const held = new Promise<void>(resolve => (release = resolve))
    let holds = 0
    let arrived = false
    proxy.before = async (passing): Promise<Verdict> => {
      if (!isChange(passing) || holds > 0) return 'pass'
      holds++
      await other.create('a', { blockIndex: 1 })
      await held
      return 'pass'
    }
    proxy.after = passing => {
      if (isChange(passing) && holds > 0) arrived = true
      return 'pass'
    }
    // Its first sending hangs in the proxy; after two seconds it is sent again.
    await expect(store.create('a', { blockIndex: 2 })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    await other.delete('a')
    arrived = false
    release()
    await until('the late request has arrived', () => arrived)
    await expect(other.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('calls go on to another member', async () => {
    const hosts = `127.0.0.1:${proxy.port},${etcd.hosts}`
    const both = await openTestStore(`etcd://${hosts}${prefix}`, { lockTimeout: LONGER_THAN_A_TEST })
    await other.create('a')
    proxy.freeze()
    // Many more than are sent to one member at once.
    const reads = Array.from({ length: 300 }, () => both.read('a').then(({ state }) => state))
    expect(new Set(await Promise.all(reads))).toEqual(new Set(['ready']))
  })

  test('a read is asked for again', async () => {
    await other.create('a')
    let cuts = 0
    proxy.after = () => (cuts++ < 3 ? 'cut' : 'pass')
    expect((await store.read('a')).state).toBe('ready')
    expect(cuts).toBeGreaterThan(3)
  })
})
