import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CopyProgress, copyStore, type SandboxStore, type SchemaResult } from 'sandbox-state'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { all } from './support/all.js'
import { describeEtcd, TestEtcd } from './support/etcd.js'
import { temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'

/** When each was made differs. */
async function states(store: SandboxStore): Promise<unknown[]> {
  return (await all(store.list())).map(entry => ('error' in entry ? entry : [entry.id, entry.state]))
}

/** What is copied is what matters here, not that it is flushed. */
const openStoreOf = (root: string) => openTestStore(root, { durable: false })

/** Makes one sandbox in each state, and `more` others. */
async function fill(store: SandboxStore, more = 0): Promise<void> {
  for (const id of ['ready', 'running', 'paused', 'stopped']) {
    await store.create(id, { cgroupPath: `/${id}`, blockIndex: id.length, labels: { id }, data: [id] })
  }
  await store.transition('running', 'ready', 'running')
  await store.transition('paused', 'ready', 'running')
  await store.transition('paused', 'running', 'paused')
  await store.transition('stopped', 'ready', 'stopped')
  await Promise.all(Array.from({ length: more }, (_, i) => store.create(`more-${i}`, { blockIndex: i })))
}

describe('a copy from files to files', () => {
  async function setUp(more = 0) {
    const roots = { from: temporaryFolder(), to: join(temporaryFolder(), 'new') }
    const [from, to] = [await openStoreOf(roots.from), await openStoreOf(roots.to)]
    await fill(from, more)
    return { roots, from, to }
  }

  test.each<[string, (data: unknown) => SchemaResult<unknown>]>([
    ['refuses', data => (Array.isArray(data) ? { value: data } : { issues: [{ message: 'no list' }] })],
    ['throws at', data => ({ value: (data as string[]).map(String) })],
  ])('leaves out data that the schema of the target %s, and copies the rest', async (_, validate) => {
    const { from } = await setUp()
    await from.create('text', { data: 'no list' })
    const to = await openTestStore(temporaryFolder(), {
      data: { '~standard': { version: 1, vendor: 'x', validate } },
    })
    expect(await copyStore(from, to)).toMatchObject({
      copied: 4,
      failed: [{ id: 'text', error: { code: 'INVALID_STATE', id: 'text' } }],
    })
  })

  test('has every sandbox in its state, to the byte, and reports each', async () => {
    const { roots, from, to } = await setUp()
    const unknown = '{"resources":{"x":1},"state":"paused"}'
    mkdirSync(join(roots.from, 'kata'))
    writeFileSync(join(roots.from, 'kata', 'state.json'), unknown)
    const reports: CopyProgress[] = []
    const result = await copyStore(from, to, { onProgress: progress => reports.push(progress) })
    expect(result).toEqual({ copied: 5, same: 0, failed: [] })
    expect(await states(to)).toEqual(await states(from))
    expect(readFileSync(join(roots.to, 'paused', 'state.json'), 'utf8')).toBe(
      readFileSync(join(roots.from, 'paused', 'state.json'), 'utf8'),
    )
    expect(readFileSync(join(roots.to, 'kata', 'state.json'), 'utf8')).toContain('"resources":{"x":1}')
    expect(reports.map(({ id }) => id).toSorted()).toEqual(['kata', 'paused', 'ready', 'running', 'stopped'])
    expect(reports.map(({ done, total }) => [done, total])).toEqual([1, 2, 3, 4, 5].map(done => [done, 5]))
    expect(await copyStore(from, to)).toEqual({ copied: 0, same: 5, failed: [] })
  })

  test('overwrites nothing, and copies nothing when something is in its way', async () => {
    const { roots, from, to } = await setUp()
    await to.create('paused', { blockIndex: 99 })
    await expect(copyStore(from, to)).rejects.toMatchObject({ code: 'ALREADY_EXISTS', id: 'paused' })
    expect(await all(to.list())).toMatchObject([{ id: 'paused', state: { blockIndex: 99 } }])
    await to.delete('paused')
    mkdirSync(join(roots.to, 'stopped'))
    writeFileSync(join(roots.to, 'stopped', 'state.json'), 'bad')
    await expect(copyStore(from, to)).rejects.toMatchObject({ code: 'ALREADY_EXISTS', id: 'stopped' })
    expect(await all(to.list())).toHaveLength(1)
  })

  test('leaves out what cannot be read, says so, and copies the rest', async () => {
    const { roots, from, to } = await setUp()
    writeFileSync(join(roots.from, 'paused', 'state.json'), 'bad')
    await to.create('own')
    expect(await copyStore(from, to)).toMatchObject({
      copied: 3,
      same: 0,
      failed: [{ id: 'paused', error: { code: 'CORRUPT_STATE' } }],
    })
    expect((await all(to.list())).map(({ id }) => id)).toEqual(['own', 'ready', 'running', 'stopped'])
  })

  test('leaves out what can be read but would be too long with its characters escaped', async () => {
    const { roots, from, to } = await setUp()
    const long = JSON.stringify({ state: 'paused', cgroupPath: '<'.repeat(500_000) })
    writeFileSync(join(roots.from, 'paused', 'state.json'), long)
    expect(await copyStore(from, to)).toMatchObject({
      copied: 3,
      failed: [{ id: 'paused', error: { code: 'INVALID_STATE', id: 'paused' } }],
    })
  })

  test('ends with its signal, before it begins', async () => {
    const { from, to } = await setUp()
    await expect(copyStore(from, to, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough')
    expect(await all(to.list())).toEqual([])
  })

  test('ends with its signal while it lists the source', async () => {
    const { from, to } = await setUp()
    const abort = new AbortController()
    const listed: string[] = []
    const source = {
      async *list() {
        for await (const entry of from.list()) {
          listed.push(entry.id)
          abort.abort('enough')
          yield entry
        }
      },
    }
    await expect(copyStore(source, to, { signal: abort.signal })).rejects.toBe('enough')
    expect(listed).toEqual(['paused'])
  })

  test('ends with its signal after the sandboxes that are under way, and goes on when it is started again', async () => {
    const { from, to } = await setUp(30)
    const abort = new AbortController()
    const reports: CopyProgress[] = []
    const onProgress = (progress: CopyProgress) => {
      reports.push(progress)
      abort.abort('enough')
    }
    await expect(copyStore(from, to, { onProgress, signal: abort.signal })).rejects.toBe('enough')
    expect(reports.length).toBeLessThan(34)
    expect(reports.map(({ id }) => id).toSorted()).toEqual((await all(to.list())).map(({ id }) => id))
    const copied = 34 - reports.length
    expect(await copyStore(from, to)).toEqual({ copied, same: reports.length, failed: [] })
  })

  test('ends with what the target fails with', async () => {
    const { from, to } = await setUp(30)
    let reports = 0
    const onProgress = () => {
      reports++
      void to.close()
    }
    await expect(copyStore(from, to, { onProgress })).rejects.toMatchObject({ code: 'CLOSED' })
    expect(reports).toBeLessThan(34)
  })

  test('leaves out what has no room in the target, and copies the rest', async () => {
    const { roots, from, to } = await setUp()
    mkdirSync(join(roots.to, 'paused', 'lock'), { recursive: true })
    await from.create('z')
    expect(await copyStore(from, to)).toMatchObject({ copied: 4, failed: [{ id: 'paused' }] })
    expect((await all(to.list())).map(({ id }) => id)).toEqual(['ready', 'running', 'stopped', 'z'])
  })

  test('leaves out what somebody else makes in the target meanwhile, and says so', async () => {
    const { from, to } = await setUp(30)
    await from.create('z')
    let made: Promise<unknown> | undefined
    const onProgress = () => {
      made ??= to.create('z', { blockIndex: 99 })
    }
    const result = await copyStore(from, to, { onProgress })
    expect(result).toMatchObject({ copied: 34, failed: [{ id: 'z', error: { code: 'ALREADY_EXISTS' } }] })
    await made
    expect((await to.read('z')).blockIndex).toBe(99)
  })
})

describeEtcd('a copy between files and etcd', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  test('has every sandbox there, and back again', async () => {
    const files = await openStoreOf(temporaryFolder())
    const there = await openStoreOf(etcd.newRoot())
    const back = await openStoreOf(temporaryFolder())
    await fill(files, 150)
    expect(await copyStore(files, there)).toEqual({ copied: 154, same: 0, failed: [] })
    expect(await states(there)).toEqual(await states(files))
    expect(await copyStore(there, back)).toEqual({ copied: 154, same: 0, failed: [] })
    expect(await states(back)).toEqual(await states(files))
    expect(await all(there.history('paused'))).toMatchObject([{ seq: 1, from: null, to: 'paused' }])
    await there.transition('paused', 'paused', 'running')
    await expect(copyStore(files, there)).rejects.toMatchObject({ code: 'ALREADY_EXISTS', id: 'paused' })
  })
})
