import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { text } from 'node:stream/consumers'
import { encodeState, type SandboxStore } from 'sandbox-state'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { effort } from '../support/effort.js'
import { describeEtcd, LONGER_THAN_A_TEST, TestEtcd } from '../support/etcd.js'
import { EtcdProxy, isChange, type Verdict } from '../support/etcd-proxy.js'
import { Racers } from '../support/program.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

const dist = new URL('../../dist/', import.meta.url)

const CHANGES = effort(8, 25)

describeEtcd('a store in etcd', () => {
  let etcd: TestEtcd
  let racers: Racers
  let root: string
  let prefix: string
  beforeAll(async () => {
    ;[etcd, racers] = await Promise.all([TestEtcd.ready(), Racers.start(8)])
  })
  afterAll(async () => {
    racers?.end()
    await etcd?.stop()
  })
  beforeEach(() => {
    root = etcd.newRoot()
    prefix = new URL(root).pathname
  })

  test('keeps a state as a file would, and a record of each change beside it', async () => {
    const store = await openTestStore(root)
    await store.create('a', { cgroupPath: '/<x>' })
    const after = await store.transition('a', 'ready', 'running')
    const keys = await etcd.dump(`${prefix}/`)
    expect(keys.map(([key]) => key)).toEqual([
      `${prefix}/history/a/0000000000000000001`,
      `${prefix}/history/a/0000000000000000002`,
      `${prefix}/state/a`,
    ])
    expect(keys[2]?.[1]).toBe(encodeState(after))
    const record = JSON.parse(keys[1]?.[1] ?? '')
    expect(record).toMatchObject({ from: 'ready', to: 'running', pid: process.pid, host: hostname() })
    expect(record.op).toMatch(/^[0-9a-f-]{36}$/)
    await store.delete('a', { force: true })
    const left = await etcd.dump(`${prefix}/`)
    expect(left.map(([key]) => key)).toEqual([`${prefix}/deletions/ca`])
    expect(JSON.parse(left[0]?.[1] ?? '')).toMatchObject({ id: 'a', pid: process.pid })
  })

  test('keeps the keys of a value that it does not know', async () => {
    const store = await openTestStore(root)
    await etcd.put(`${prefix}/state/a`, '{"resources":{"x":1e400},"STATE":"ready"}')
    await store.transition('a', 'ready', 'running')
    expect(await etcd.dump(`${prefix}/state/`)).toEqual([
      [
        `${prefix}/state/a`,
        '{"state":"running","blockIndex":0,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false,"resources":{"x":1e400}}',
      ],
    ])
  })

  test('keeps the history, which goes with the sandbox', async () => {
    const store = await openTestStore(root)
    await store.create('a')
    await store.transition('a', 'ready', 'running')
    await store.update('a', state => ({ ...state, blockIndex: 1, cgroupPath: '/x' }))
    const history = await all(store.history('a'))
    expect(history).toMatchObject([
      { seq: 1, from: null, to: 'ready' },
      { seq: 2, from: 'ready', to: 'running', pid: process.pid, host: hostname() },
      { seq: 3, from: 'running', to: 'running', fields: ['blockIndex', 'cgroupPath'] },
    ])
    expect(history.some(({ gap }) => gap)).toBe(false)
    expect(history.some(entry => 'op' in entry)).toBe(false)
    expect(history.every(({ time }) => Math.abs(Date.parse(time) - Date.now()) < 60_000)).toBe(true)
    await store.delete('a', { force: true })
    await expect(all(store.history('a'))).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'a' })
    await store.create('a')
    expect(await all(store.history('a'))).toMatchObject([{ seq: 1, from: null, to: 'ready' }])
  })

  test('knows when a state was written by the record that was written with it', async () => {
    const store = await openTestStore(root)
    const silent = await openTestStore(root, { history: false })
    const recordOf = (id: string) => `${prefix}/history/${id}/0000000000000000001`
    await silent.create('a')
    await store.create('b')
    const [[, record = ''] = []] = await etcd.dump(recordOf('a'))
    expect((await store.inspect('a')).changedAt).toBe(JSON.parse(record).time)
    // Records of nothing, or of an earlier sandbox, that say what is long past.
    const old = JSON.stringify({ ...JSON.parse(record), time: '2020-01-01T00:00:00.000Z' })
    await etcd.put(recordOf('b'), old)
    await etcd.put(recordOf('c'), old)
    await etcd.put(`${prefix}/state/c`, '{"state":"stopped"}')
    const changedBefore = new Date(Date.now() - 3_600_000)
    expect(await all(store.list({ changedBefore }))).toEqual([])
    expect(await all(store.prune({ olderThan: 3_600_000 }))).toEqual([])
    expect((await all(store.list())).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  test('says where the history has a gap', async () => {
    const store = await openTestStore(root)
    const silent = await openTestStore(root, { history: false })
    await store.create('a')
    await silent.transition('a', 'ready', 'running')
    await store.transition('a', 'running', 'paused')
    await etcd.put(`${prefix}/state/a`, '{"state":"running"}')
    await store.transition('a', 'running', 'stopped')
    await etcd.put(`${prefix}/history/a/0000000000000000003`, '{"to":"dead"}')
    const history = await all(store.history('a'))
    expect(history.map(({ seq, to, gap }) => [seq, to, gap])).toEqual([
      [1, 'ready', undefined],
      [5, 'stopped', true],
    ])
    await etcd.put(`${prefix}/state/b`, '{"state":"ready"}')
    await store.transition('b', 'ready', 'running')
    expect(await all(store.history('b'))).toMatchObject([{ seq: 2, from: 'ready', gap: true }])
  })

  test('keeps the last 100 records of a sandbox, and no more keys', async () => {
    const store = await openTestStore(root)
    await store.create('a')
    for (let i = 1; i < 130; i++) await store.update('a', state => ({ ...state, blockIndex: i }))
    const history = await all(store.history('a'))
    expect(history.map(({ seq }) => seq)).toEqual(Array.from({ length: 100 }, (_, i) => i + 31))
    expect(history.some(({ gap }) => gap)).toBe(false)
    expect(await etcd.dump(`${prefix}/history/`)).toHaveLength(100)
  })

  test.each([
    ['not JSON', 'CORRUPT_STATE'],
    ['', 'CORRUPT_STATE'],
    ['null', 'INVALID_STATE'],
    ['{"state":"dead"}', 'INVALID_STATE'],
    ['{"state":"ready","blockIndex":1.5}', 'INVALID_STATE'],
  ])('does not take the value %j for a state', async (value, code) => {
    const store = await openTestStore(root)
    await store.create('b')
    const path = `${prefix}/state/a`
    await etcd.put(path, value)
    const bad = { name: 'StateStoreError', code, id: 'a', path }
    await expect(store.read('a')).rejects.toMatchObject(bad)
    await expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject(bad)
    await expect(store.update('a', state => state)).rejects.toMatchObject(bad)
    await expect(store.delete('a')).rejects.toMatchObject(bad)
    await expect(store.create('a')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect(await all(store.list({ state: 'ready' }))).toMatchObject([{ id: 'a', error: bad }, { id: 'b' }])
    expect(await etcd.dump(path)).toEqual([[path, value]])
    await store.delete('a', { force: true })
    expect(await all(store.list())).toMatchObject([{ id: 'b' }])
  })

  test('reports each fault once in a check, and changes nothing', async () => {
    const store = await openTestStore(root)
    await store.create('good')
    await store.create('lost')
    await store.update('lost', state => ({ ...state, blockIndex: 1 }))
    await etcd.delete(`${prefix}/state/lost`)
    await etcd.put(`${prefix}/state/bad`, '{}')
    await etcd.put(`${prefix}/state/worse`, '[')
    await etcd.put(`${prefix}/state/empty`, '')
    await etcd.put(`${prefix}/state/-no-id`, '{"state":"ready"}')
    await etcd.put(`${prefix}/history/no id/1`, '{}')
    const before = await etcd.dump(`${prefix}/`)
    const counts: number[] = []
    const findings = await all(store.check({ onProgress: count => counts.push(count) }))
    expect(findings).toMatchObject([
      { code: 'INVALID_ID', path: `${prefix}/state/-no-id` },
      { code: 'INVALID_STATE', path: `${prefix}/state/bad`, id: 'bad' },
      { code: 'EMPTY_STATE', path: `${prefix}/state/empty`, id: 'empty' },
      { code: 'CORRUPT_STATE', path: `${prefix}/state/worse`, id: 'worse' },
      { code: 'UNFINISHED_CREATE', path: `${prefix}/history/lost/`, id: 'lost' },
      { code: 'INVALID_ID', path: `${prefix}/history/no id/` },
    ])
    expect(findings.filter(({ repairable }) => repairable)).toEqual([])
    expect(findings.map(({ message, path }) => message.startsWith(`etcd's key ${path}: `))).not.toContain(
      false,
    )
    expect(counts).toEqual([1, 2, 3, 4])
    expect(await etcd.dump(`${prefix}/`)).toEqual(before)
    expect(await all(store.list())).toHaveLength(4)
    await store.create('lost')
    expect(await all(store.history('lost'))).toHaveLength(1)
  })

  test('lists more sandboxes than one answer holds, as they were at one time', async () => {
    const store = await openTestStore(root)
    const ids = Array.from({ length: 300 }, (_, i) => `s${String(i).padStart(3, '0')}`)
    await Promise.all(ids.map(id => store.create(id)))
    const seen: string[] = []
    for await (const entry of store.list()) {
      if (seen.length === 0) await store.delete('s299')
      seen.push(entry.id)
    }
    expect(seen).toEqual(ids)
    // Once that time is compacted away, the rest is listed as it is now.
    const now: string[] = []
    for await (const { id } of store.list()) {
      if (now.length === 0) {
        await store.delete('s298')
        await etcd.compact()
      }
      now.push(id)
    }
    expect(now).toEqual(ids.slice(0, 298))
  })

  test.each<[string, (store: SandboxStore) => Promise<unknown[]>]>([
    ['list', store => all(store.list())],
    ['inspect', async store => [await store.inspect('a')]],
  ])('%s: the revision at which it reads is compacted away before it has the times', async (_, call) => {
    const writer = await openTestStore(root)
    await writer.create('a')
    const created = await writer.inspect('a')
    const proxy = await EtcdProxy.start(etcd.member.clientPort)
    onTestFinished(() => proxy.close())
    const store = await openTestStore(`etcd://127.0.0.1:${proxy.port}${prefix}`)
    let requests = 0
    proxy.before = async (): Promise<Verdict> => {
      if (++requests === 2) {
        await writer.update('a', state => ({ ...state, blockIndex: 1 }))
        await etcd.compact()
      }
      return 'pass'
    }
    const { changedAt, revision } = created
    expect(await call(store)).toMatchObject([{ id: 'a', state: { blockIndex: 0 }, changedAt, revision }])
  })

  test('is not shared with a prefix that only begins alike', async () => {
    const store = await openTestStore(root)
    await (await openTestStore(`${root}0`)).create('a')
    await (await openTestStore(`${root}/state`)).create('b')
    expect(await all(store.list())).toEqual([])
  })

  test('8 processes on one sandbox: the count is what was acknowledged, and so is the history', async () => {
    const store = await openTestStore(root)
    await store.create('shared')
    const outcomes = (await racers.race({ root, id: 'shared', what: 'increment', count: CHANGES })).flat()
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([])
    expect((await store.read('shared')).blockIndex).toBe(8 * CHANGES)
    expect((await all(store.history('shared'))).at(-1)?.seq).toBe(8 * CHANGES + 1)
  })

  test.each(['create', 'transition'] as const)('one of 8 processes succeeds with a %s', async what => {
    const store = await openTestStore(root)
    if (what === 'transition') await store.create('wanted')
    const outcomes = (await racers.race({ root, id: 'wanted', what })).flat()
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    const code = what === 'create' ? 'ALREADY_EXISTS' : 'STATE_MISMATCH'
    expect(outcomes.filter(outcome => outcome.code === code)).toHaveLength(7)
  })

  test('a change that others overtake each time is LOCK_TIMEOUT and names one of them', async () => {
    const store = await openTestStore(root, { lockTimeout: 0 })
    await store.create('a')
    const write = `
      import { openStore } from ${JSON.stringify(new URL('index.js', dist).href)}
      const store = await openStore(${JSON.stringify(root)})
      await store.update('a', state => ({ ...state, blockIndex: 7 }))
      await store.close()
      console.log(process.pid)`
    let pid = ''
    const overtaken = store.update('a', state => {
      pid = execFileSync(process.execPath, ['--input-type=module', '-e', write], { encoding: 'utf8' }).trim()
      return state
    })
    const error = await overtaken.catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a' })
    expect(String(error)).toContain(`pid ${pid}`)
    expect((await store.read('a')).blockIndex).toBe(7)
  })

  test('a deletion that another change overtook names that change, not an earlier deletion', async () => {
    const store = await openTestStore(root, { lockTimeout: 0 })
    const proxy = await EtcdProxy.start(etcd.member.clientPort)
    onTestFinished(() => proxy.close())
    const overtaken = await openTestStore(`etcd://127.0.0.1:${proxy.port}${prefix}`, { lockTimeout: 0 })
    await store.create('a')
    await etcd.put(`${prefix}/deletions/ca`, '{"op":"x","pid":1,"host":"h","command":"earlier"}')
    proxy.before = async (passing): Promise<Verdict> => {
      if (isChange(passing)) await store.transition('a', 'ready', 'stopped')
      return 'pass'
    }
    const error = await overtaken.delete('a').catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a' })
    expect(String(error)).toContain(`pid ${process.pid}`)
  })

  test('a process that closes a store with a live watch is held up by nothing, and says nothing on stderr', async () => {
    const program = `
      import { openStore } from ${JSON.stringify(new URL('index.js', dist).href)}
      const store = await openStore(${JSON.stringify(root)})
      await store.create('a')
      const waiting = store.waitFor('a', 'stopped').catch(error => console.log(error.code))
      for await (const { type, state } of store.watch()) {
        console.log(type, state.state)
        if (type === 'created') await store.transition('a', 'ready', 'running')
        else void store.close()
      }
      await waiting
      await store.close()
      for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
      console.log(process.getActiveResourcesInfo().filter(name => !name.startsWith('Pipe')).join())`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = once(child, 'close')
    const said = await Promise.all([text(child.stdout), text(child.stderr)])
    expect(said).toEqual(['created ready\nchanged running\nCLOSED\n\n', ''])
    expect(await ended).toEqual([0, null])
  })

  test('a store that is not closed keeps no process alive', async () => {
    const program = `
      import { openStore } from ${JSON.stringify(new URL('index.js', dist).href)}
      await (await openStore(${JSON.stringify(root)})).create('a')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' })
    onTestFinished(() => void child.kill('SIGKILL'))
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('a database that is full refuses changes with an IO_ERROR, and keeps what it has', async () => {
    const small = await TestEtcd.start(1, ['--quota-backend-bytes', String(2 ** 20)])
    onTestFinished(() => small.stop())
    await small.untilReady()
    const store = await openTestStore(small.newRoot(), { lockTimeout: LONGER_THAN_A_TEST })
    const made = await store.create('a')
    await until('it is full', async () => {
      await small.put('/other', 'x'.repeat(200_000)).catch(() => {})
      return 'alarms' in (await small.ask('maintenance/alarm', { action: 'GET' }))
    })
    const full = {
      name: 'StateStoreError',
      code: 'IO_ERROR',
      id: 'a',
      message: expect.stringContaining('space exceeded'),
    }
    await expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject(full)
    expect(await store.read('a')).toEqual(made)
    expect(await all(store.list())).toHaveLength(1)
  })

  test('a user is known as soon as etcd asks for one', async () => {
    const asking = await TestEtcd.ready()
    onTestFinished(() => asking.stop())
    const root = asking.newRoot()
    const etcd = { user: 'root', password: 'secret' }
    const store = await openTestStore(root, { etcd })
    const nobody = await openTestStore(root)
    await store.create('a')
    await nobody.read('a')
    const events = store.watch()
    await events.next()
    await asking.ask('auth/user/add', { name: etcd.user, password: etcd.password })
    await asking.ask('auth/role/add', { name: 'root' })
    await asking.ask('auth/user/grant', { user: etcd.user, role: 'root' })
    await asking.ask('auth/enable', {})
    const next = events.next()
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
    expect((await next).value).toMatchObject({ type: 'changed', state: { state: 'running' } })
    await events.return()
    await expect(nobody.read('a')).rejects.toMatchObject({ code: 'IO_ERROR' })
  })

  test('a member that is not there, or is no etcd, is passed over for one that is', async () => {
    const web = createServer((_, response) => void response.writeHead(404).end('Not Found')).listen(
      0,
      '127.0.0.1',
    )
    onTestFinished(() => void web.close())
    await once(web, 'listening')
    const { port } = web.address() as AddressInfo
    const store = await openTestStore(`etcd://127.0.0.1:1,127.0.0.1:${port},${root.slice('etcd://'.length)}`)
    await store.create('a')
    expect(await all(store.list())).toHaveLength(1)
    const events = store.watch()
    expect((await events.next()).value).toMatchObject({ type: 'created', id: 'a' })
    await events.return()
  })
})
