import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { describeEtcd, TestEtcd } from '../support/etcd.js'
import { nextMessage, type Outcome, startProgram } from '../support/program.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

const IDS = ['a', 'b', 'c', 'd']
const CLIENTS = effort(4, 8)
/** How many changes the clients make before the next thing happens. */
const PROGRESS = 40
const KILLS = effort(1, 3)
/** How long to go on killing, in ms; once through without it. See soak.sh. */
const SOAK = Number(process.env.ETCD_SOAK_MINUTES ?? 0) * 60_000

describeEtcd('an etcd of three members', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready(3)
  })
  afterAll(() => etcd?.stop())

  /** Until the clients have made some more changes. */
  async function progress(): Promise<void> {
    let goal: bigint | undefined
    await until('the clients go on', async () => {
      const now = await etcd.revision().catch(() => undefined)
      if (now === undefined) return false
      goal ??= now + BigInt(PROGRESS)
      return now > goal
    })
  }

  test('loses and doubles no change when its leader is killed again and again, and stopped once', {
    timeout: 120_000,
  }, async () => {
    const root = etcd.newRoot()
    const prefix = new URL(root.replace(/,[^/]*/, '')).pathname
    const store = await openTestStore(root, { lockTimeout: 30_000 })
    for (const id of IDS) await store.create(id)
    const seen = new Map<string, number[]>(IDS.map(id => [id, []]))
    const watching = (async () => {
      for await (const event of store.watch()) {
        if ('state' in event) seen.get(event.id)?.push(event.state.blockIndex)
      }
    })()
    const clients = Array.from({ length: CLIENTS }, (_, i) =>
      startProgram('etcd-load', [root, IDS[i % IDS.length] ?? '', `c${i}`]),
    )
    const reports = clients.map(async client => {
      await nextMessage(client)
      return (await nextMessage(client)) as Outcome[]
    })

    const end = performance.now() + SOAK
    do {
      for (let kill = 1; kill <= KILLS; kill++) {
        await progress()
        const leader = await etcd.leader()
        await leader.kill()
        await progress()
        leader.start()
        await etcd.untilReady()
      }
      await progress()
      const leader = await etcd.leader()
      await leader.suspend()
      await progress()
      leader.signal('SIGCONT')
      await progress()
    } while (performance.now() < end)

    for (const client of clients) client.send('stop')
    const outcomes = (await Promise.all(reports)).flat()
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    const marks: unknown[] = []
    const counts = new Map<string, number>(IDS.map(id => [id, -1]))
    for (const { key, value } of await etcd.past(`${prefix}/state/`)) {
      const id = key.slice(`${prefix}/state/`.length)
      const { blockIndex, cgroupPath } = JSON.parse(value)
      expect(blockIndex, `${id} after ${cgroupPath}`).toBe((counts.get(id) ?? 0) + 1)
      counts.set(id, blockIndex)
      if (cgroupPath !== undefined) marks.push(cgroupPath)
    }
    const acknowledged = outcomes.map(({ result }) => result)
    expect(acknowledged.length).toBeGreaterThan((2 * KILLS + 3) * PROGRESS)
    expect(marks.toSorted()).toEqual(acknowledged.toSorted())
    for (const id of IDS) {
      const last = counts.get(id) ?? 0
      expect((await store.read(id)).blockIndex).toBe(last)
      await until(`the watch has come to the end of ${id}`, () => seen.get(id)?.at(-1) === last)
      expect(seen.get(id)).toEqual(Array.from({ length: last + 1 }, (_, i) => i))
    }
    await store.close()
    await watching
  })

  test('without a quorum ends every call, and is as before with one', async () => {
    const store = await openTestStore(etcd.newRoot(), { lockTimeout: 0 })
    await store.create('a')
    const [, ...others] = etcd.members
    for (const member of others) await member.suspend()
    onTestFinished(() => {
      for (const member of others) member.signal('SIGCONT')
    })
    const failed = { name: 'StateStoreError', code: 'IO_ERROR' }
    await Promise.all([
      expect(store.read('a')).rejects.toMatchObject(failed),
      expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject(failed),
      expect(store.create('b')).rejects.toMatchObject(failed),
      expect(store.list().next()).rejects.toMatchObject(failed),
      expect(store.waitFor('a', 'running')).rejects.toMatchObject(failed),
    ])
    for (const member of others) member.signal('SIGCONT')
    await until('there is a quorum', async () => {
      const state = await store.read('a').catch(() => undefined)
      return state?.state === 'ready'
    })
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
  })
})
