import fc from 'fast-check'
import {
  type DataSchema,
  openStore,
  type SandboxStore,
  type StoredSandbox,
  type StoreOptions,
} from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { all } from './support/all.js'
import { openTestStore } from './support/store.js'
import { PATIENCE } from './support/wait.js'

const Agent = z.object({ image: z.string(), ports: z.array(z.int()) })
const agent = { image: 'alpine', ports: [80] }

/** What every backend must do with data of the user's own, with revisions, and with what is said about a change. */
export function describeDataContract(name: string, makeRoot: () => string | Promise<string>): void {
  const open = async <Data = unknown, Input = Data>(options?: StoreOptions<Data, Input>) =>
    openTestStore(await makeRoot(), options)

  async function entryOf(store: SandboxStore, id: string): Promise<StoredSandbox> {
    const entry = (await all(store.list())).find(each => each.id === id)
    if (entry === undefined || 'error' in entry) throw new Error(`${id} is not listed`)
    return entry
  }

  describe(`data of one's own (${name})`, () => {
    test('labels are kept, sorted, changed and taken away', async () => {
      const store = await open()
      const made = await store.create('a', { labels: { team: 'b', app: 'web' } })
      expect(Object.entries(made.labels ?? {})).toEqual([
        ['app', 'web'],
        ['team', 'b'],
      ])
      expect(await store.transition('a', 'ready', 'running')).toMatchObject({ labels: made.labels })
      await store.update('a', state => ({ ...state, labels: { ...state.labels, tier: '<1>' } }))
      expect(await store.read('a')).toMatchObject({ labels: { app: 'web', team: 'b', tier: '<1>' } })
      await store.update('a', state => ({ ...state, labels: {} }))
      expect(await store.read('a')).not.toHaveProperty('labels')
      expect(await store.create('b', { labels: {} })).not.toHaveProperty('labels')
    })

    test.each([
      [{ '': 'x' }, '"": "x"'],
      [{ a: 'b', '-a': 'x' }, '"-a": "x"'],
      [{ ['a'.repeat(64)]: 'x' }, `"${'a'.repeat(60)}…": "x"`],
      [{ a: 1 }, '"a": 1'],
      [{ a: 'x'.repeat(257) }, `"a": "${'x'.repeat(60)}…"`],
      [['a'], 'an array'],
      [new Map([['a', 'b']]), 'an object'],
      ['a=b', '"a=b"'],
      [null, 'null'],
      [Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, ''])), '65 labels'],
    ])('refuses the labels %j', async (labels, found) => {
      const store = await open()
      const message = expect.stringMatching(new RegExp(`: labels must be .*, found ${found}$`))
      const refused = { code: 'INVALID_STATE', message }
      await expect(store.create('a', { labels: labels as never })).rejects.toMatchObject(refused)
      await store.create('a')
      const update = store.update('a', state => ({ ...state, labels: labels as never }))
      await expect(update).rejects.toMatchObject(refused)
      expect(await store.read('a')).not.toHaveProperty('labels')
    })

    test('data is any JSON, and a store without a schema keeps it as it is', async () => {
      const store = await open()
      for (const [i, data] of [agent, [1], 'x', 0, false, null, { ['__proto__']: 1 }].entries()) {
        const made = await store.create(`s${i}`, { data })
        expect(made).toMatchObject({ data })
        expect(await store.read(`s${i}`)).toStrictEqual(made) // Symbols are compared as well.
        await store.transition(`s${i}`, 'ready', 'running')
        await store.update(`s${i}`, state => ({ ...state, blockIndex: 1 }))
        expect((await store.read(`s${i}`)).data).toEqual(data)
        await store.update(`s${i}`, ({ data: _, ...state }) => state)
        expect(await store.read(`s${i}`)).not.toHaveProperty('data')
      }
    })

    test('refuses data that JSON cannot express', async () => {
      const store = await open()
      const circle: unknown[] = []
      circle.push(circle)
      for (const data of [circle, 1n, () => 1, Symbol('a')]) {
        const refused = { code: 'INVALID_STATE', message: expect.stringContaining('data must be') }
        await expect(store.create('a', { data })).rejects.toMatchObject(refused)
      }
    })

    test('any labels and any data come back as they were', async () => {
      const store = await open({ durable: false, history: false })
      const labels = fc.dictionary(
        fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_./-]{0,62}$/),
        fc.string({ maxLength: 60, unit: 'binary' }).map(text => text.toWellFormed()),
        { maxKeys: 20, noNullPrototype: true },
      )
      await fc.assert(
        fc.asyncProperty(labels, fc.json(), async (given, json) => {
          const data: unknown = JSON.parse(json)
          await store.create('a', { labels: given, data })
          const { labels: read = {}, data: readData } = await store.read('a')
          expect(read).toEqual(given)
          expect(JSON.stringify(readData)).toBe(JSON.stringify(data))
          await store.delete('a')
        }),
        { numRuns: 25 },
      )
    })

    test('a schema types the data, and checks it when it is written and when it is read', async () => {
      const root = await makeRoot()
      const typed = await openTestStore(root, { data: Agent })
      const made = await typed.create('a', { data: agent })
      expect(made.data.ports[0]).toBe(80)
      await typed.update('a', state => ({ ...state, data: { ...state.data, ports: [81, 82] } }))
      expect((await typed.read('a')).data).toEqual({ image: 'alpine', ports: [81, 82] })
      expect((await typed.transition('a', 'ready', 'running')).data.image).toBe('alpine')

      const invalid = { code: 'INVALID_STATE', id: 'a', message: expect.stringContaining('data.ports.1: ') }
      const wrong = { image: 'alpine', ports: [1, 'x' as unknown as number] }
      await expect(typed.update('a', state => ({ ...state, data: wrong }))).rejects.toMatchObject(invalid)
      await expect(typed.create('b', { data: wrong })).rejects.toMatchObject({ ...invalid, id: 'b' })
      const untyped: SandboxStore = typed
      await expect(untyped.create('b')).rejects.toMatchObject({ code: 'INVALID_STATE', id: 'b' })
      expect((await typed.read('a')).data.ports).toEqual([81, 82])

      const plain = await openTestStore(root)
      await plain.update('a', state => ({ ...state, data: wrong }))
      await expect(typed.read('a')).rejects.toMatchObject(invalid)
      await expect(typed.transition('a', 'running', 'stopped')).rejects.toMatchObject(invalid)
      expect(await all(typed.list())).toMatchObject([{ id: 'a', error: invalid }])
      expect(await plain.read('a')).toMatchObject({ state: 'running', data: wrong })
      const controller = new AbortController()
      for await (const event of typed.watch({ id: 'a', signal: controller.signal })) {
        expect(event).toMatchObject({ type: 'error', id: 'a', error: invalid })
        controller.abort()
      }
      await typed.delete('a', { force: true })
    })

    test('keeps what a schema makes of the data', async () => {
      const root = await makeRoot()
      const schema = z.object({ since: z.coerce.date(), tries: z.int().default(0) })
      const typed = await openTestStore(root, { data: schema })
      const since = new Date('2026-01-02T03:04:05Z')
      expect((await typed.create('a', { data: { since } })).data).toEqual({ since, tries: 0 })
      expect((await typed.read('a')).data.since).toEqual(since)
      const plain = await openTestStore(root)
      expect((await plain.read('a')).data).toEqual({ since: since.toISOString(), tries: 0 })
    })

    test('refuses data that a schema would not read back, before anything is changed', async () => {
      const root = await makeRoot()
      const typed = await openTestStore(root, { data: z.string().transform(text => text.length) })
      const invalid = { code: 'INVALID_STATE', message: expect.stringContaining('data: ') }
      await expect(typed.create('a', { data: 'abc' })).rejects.toMatchObject(invalid)
      const plain = await openTestStore(root)
      expect(await all(plain.list())).toEqual([])
      await plain.create('a', { data: 'abc' })
      await expect(typed.update('a', state => state)).rejects.toMatchObject(invalid)
      expect((await plain.read('a')).data).toBe('abc')
    })

    test('a watch gives data of any type, such as one that is no JSON', async () => {
      const root = await makeRoot()
      const typed = await openTestStore(root, { data: z.union([z.bigint(), z.string().transform(BigInt)]) })
      const plain = await openTestStore(root)
      await plain.create('a', { data: '5' })
      const seen: unknown[] = []
      for await (const event of typed.watch()) {
        seen.push('state' in event && event.state?.data)
        if (seen.length === 2) break
        await plain.update('a', state => ({ ...state, data: '6' }))
      }
      expect(seen).toEqual([5n, 6n])
    })

    test.each([
      ['data', 'data must be', { data: '\n'.repeat(8_000_000) }],
      ['a cgroup path', 'more than 1048576 bytes', { cgroupPath: '\n'.repeat(600_000) }],
    ])('refuses %s that no file may hold', async (_, message, fields) => {
      const store = await open()
      const tooLarge = { code: 'INVALID_STATE', id: 'a', message: expect.stringContaining(message) }
      await expect(store.create('a', fields)).rejects.toMatchObject(tooLarge)
      await store.create('a')
      await expect(store.update('a', state => ({ ...state, ...fields }))).rejects.toMatchObject(tooLarge)
      expect(await store.read('a')).toMatchObject({ cgroupPath: '' })
    })

    test('data is nested at most 1,000 levels deep', async () => {
      const store = await open({ durable: false })
      const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
      const tooDeep = { code: 'INVALID_STATE', message: expect.stringContaining('data must be') }
      for (const depth of [1_001, 5_000, 100_000]) {
        await expect(store.create('a', { data: nested(depth) })).rejects.toMatchObject(tooDeep)
      }
      await store.create('a', { data: nested(1_000) })
      expect((await store.transition('a', 'ready', 'running')).data).toEqual(nested(1_000))
    })

    test('what a schema says of a text is escaped', async () => {
      const store = await open({ data: z.record(z.string(), z.int()) })
      const create = store.create('a', { data: { '\x1b[2J': 'x' } as never })
      await expect(create).rejects.toThrow(/data\.\\u001b\[2J: /)
    })

    test('a schema must be one, and must answer at once', async () => {
      const root = await makeRoot()
      for (const data of [1, {}, { '~standard': {} }, null]) {
        await expect(openStore(root, { data: data as never })).rejects.toThrow(TypeError)
      }
      const late = { '~standard': { version: 1 as const, vendor: 'x', validate: async () => ({ value: 1 }) } }
      await expect(openStore(root, { data: late })).rejects.toThrow('must not be asynchronous')
      const hidden = await openTestStore(root, { data: Agent.refine(async () => true) })
      await expect(hidden.create('a', { data: agent })).rejects.toThrow(TypeError)
      expect(await all(hidden.list())).toEqual([])
    })

    /** A schema of one's own. */
    const schemaOf = (validate: (value: unknown) => unknown) =>
      ({ '~standard': { version: 1, vendor: 'x', validate } }) as unknown as DataSchema<unknown[]>

    test.each<[string, DataSchema<unknown>]>([
      ['throws', schemaOf(value => ({ value: JSON.parse(value as string) }))],
      ['throws in zod', z.string().transform(text => JSON.parse(text) as unknown)],
      ['answers nothing', schemaOf(value => (value === '[]' ? { value } : undefined))],
      ['answers something else', schemaOf(value => (value === '[]' ? { value } : {}))],
      ['has no issue to name', schemaOf(value => (value === '[]' ? { value } : { issues: [] }))],
      ['has odd issues', schemaOf(value => (value === '[]' ? { value } : { issues: [null] }))],
    ])('data for which a schema %s is a fault of one sandbox, and holds no lock', async (_, schema) => {
      const root = await makeRoot()
      const plain = await openTestStore(root)
      await plain.create('bad', { data: 'x' })
      await plain.create('good', { data: '[]' })
      const store = await openTestStore(root, { data: schema, lockTimeout: 0 })
      const invalid = { name: 'StateStoreError', code: 'INVALID_STATE', id: 'bad' }
      const message = /^sandbox bad: data: ./
      await expect(store.read('bad')).rejects.toMatchObject({
        ...invalid,
        message: expect.stringMatching(message),
      })
      await expect(store.transition('bad', 'ready', 'running')).rejects.toMatchObject(invalid)
      await expect(store.update('bad', state => state)).rejects.toMatchObject(invalid)
      expect(await all(store.list())).toMatchObject([{ id: 'bad', error: invalid }, { id: 'good' }])
      await expect(store.create('new', { data: 'x' as never })).rejects.toThrow(/./)
      await store.transition('good', 'ready', 'running')
      await plain.transition('bad', 'ready', 'running')
      expect((await all(plain.list())).map(({ id }) => id)).toEqual(['bad', 'good'])
    })

    test('a schema that changes what it is given changes nothing that is kept by a transition', async () => {
      const root = await makeRoot()
      const plain = await openTestStore(root)
      await plain.create('a', { data: ['kept'] })
      const store = await openTestStore(root, {
        data: schemaOf(value => {
          if (Array.isArray(value)) value[0] = 'default'
          return { value }
        }),
      })
      expect((await store.transition('a', 'ready', 'running')).data).toEqual(['default'])
      expect((await plain.read('a')).data).toEqual(['kept'])
    })

    test('a reason is in the history', async () => {
      const store = await open()
      await store.create('a', {}, { reason: 'first “request”' })
      await store.transition('a', 'ready', 'running')
      await store.update('a', state => ({ ...state, blockIndex: 1 }), { reason: 'x'.repeat(256) })
      // The longest line that there can be.
      await store.update('a', state => ({ ...state, blockIndex: 2 }), { reason: '😀'.repeat(128) })
      await store.transition('a', 'running', 'stopped', { reason: '' })
      const history = await all(store.history('a'))
      expect(history.map(({ reason }) => reason)).toEqual([
        'first “request”',
        undefined,
        'x'.repeat(256),
        '😀'.repeat(128),
        '',
      ])
      expect(history.map(({ gap }) => gap)).toEqual(Array.from({ length: 5 }))
      for (const reason of ['x'.repeat(257), 1, null]) {
        await expect(store.create('b', {}, { reason: reason as string })).rejects.toThrow(TypeError)
      }
    })

    test('a revision differs after each change, also after delete and create', async () => {
      const store = await open({ durable: false })
      const seen = new Set<string>()
      for (let i = 0; i < 40; i++) {
        await store.create('a')
        seen.add((await entryOf(store, 'a')).revision)
        await store.transition('a', 'ready', 'stopped')
        seen.add((await entryOf(store, 'a')).revision)
        await store.update('a', state => state)
        const { revision } = await entryOf(store, 'a')
        seen.add(revision)
        expect((await entryOf(store, 'a')).revision).toBe(revision)
        await store.delete('a')
      }
      expect(seen.size).toBe(120)
    })

    test('a change of one revision only fails when there is another', async () => {
      const store = await open()
      await store.create('a')
      const { revision: ifRevision } = await store.inspect('a')
      await store.update('a', state => ({ ...state, blockIndex: 1 }), { ifRevision })
      const other = { name: 'StateStoreError', code: 'REVISION_MISMATCH', id: 'a' }
      await expect(store.update('a', state => state, { ifRevision })).rejects.toMatchObject(other)
      await expect(store.transition('a', 'ready', 'running', { ifRevision })).rejects.toMatchObject(other)
      await expect(store.delete('a', { ifRevision })).rejects.toMatchObject(other)
      await expect(store.delete('a', { ifRevision, force: true })).rejects.toMatchObject(other)
      expect(await store.read('a')).toMatchObject({ state: 'ready', blockIndex: 1 })
      await store.delete('a', { ifRevision: (await store.inspect('a')).revision })
      await expect(store.delete('a', { ifRevision })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      for (const options of [{ ifRevision: 1 }, { reason: 'x' }, 5, null]) {
        await expect(store.delete('a', options as never)).rejects.toThrow(TypeError)
      }
    })

    test('shows when a state was changed', async () => {
      const store = await open()
      const before = Date.now()
      await store.create('a')
      const { changedAt } = await entryOf(store, 'a')
      expect(changedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      expect(Date.parse(changedAt)).toBeGreaterThanOrEqual(before - 1) // A filesystem may round it.
      expect(Date.parse(changedAt)).toBeLessThanOrEqual(Date.now())
    })

    test('lists by labels and by age', async () => {
      const store = await open()
      await store.create('a', { labels: { team: 'x', tier: '1' } })
      await store.create('b', { labels: { team: 'x' } })
      await store.create('c')
      const ids = async (options: Parameters<typeof store.list>[0]) =>
        (await all(store.list(options))).map(({ id }) => id)
      expect(await ids({ labels: { team: 'x' } })).toEqual(['a', 'b'])
      expect(await ids({ labels: { team: 'x', tier: '1' } })).toEqual(['a'])
      expect(await ids({ labels: { team: 'y' } })).toEqual([])
      expect(await ids({ labels: { toString: 'y' } })).toEqual([])
      expect(await ids({ changedBefore: new Date(Date.now() + 60_000) })).toEqual(['a', 'b', 'c'])
      expect(await ids({ changedBefore: new Date(Date.now() - 60_000) })).toEqual([])
      expect(() => store.list({ changedBefore: new Date(Number.NaN) })).toThrow(TypeError)
      expect(() => store.list({ changedBefore: Date.now() as never })).toThrow(TypeError)
      expect(() => store.list({ labels: { a: 1 } as never })).toThrow(TypeError)
    })

    test('inspects everything about one sandbox', async () => {
      const store = await open()
      await store.create('a', { labels: { team: 'x' } }, { reason: 'why' })
      await store.transition('a', 'ready', 'running')
      for (let i = 0; i < 12; i++) await store.update('a', state => ({ ...state, blockIndex: i + 1 }))
      const inspection = await store.inspect('a')
      const history = await all(store.history('a'))
      expect(inspection).toEqual({
        ...(await entryOf(store, 'a')),
        since: history[1]?.time,
        owner: null,
        lock: null,
        history: history.slice(-10),
        findings: [],
      })
      await expect(store.inspect('b')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(store.inspect('a/b')).rejects.toMatchObject({ code: 'INVALID_ID' })
    })

    test('prunes what has been stopped for long, and nothing else', async () => {
      const store = await open()
      const stop = async (id: string) => {
        await store.create(id, { labels: { team: id === 'c' ? 'y' : 'x' } })
        await store.transition(id, 'ready', 'stopped')
      }
      for (const id of ['a', 'b', 'c']) await stop(id)
      await store.create('ready')
      const ids = async (options: Parameters<typeof store.prune>[0]) =>
        (await all(store.prune(options))).map(({ id }) => id)
      for (const olderThan of [60_000, 9e15, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) {
        expect(await ids({ olderThan })).toEqual([])
        expect(await ids({ olderThan, state: 'ready' })).toEqual([])
      }
      // By the clock of a filesystem, and not within the same millisecond.
      const planned = () => ids({ olderThan: 0, dryRun: true })
      await expect.poll(planned, { timeout: PATIENCE }).toEqual(['a', 'b', 'c'])
      const pruned = store.prune({ olderThan: 0, labels: { team: 'x' } })
      expect((await pruned.next()).value).toMatchObject({ id: 'a', state: { state: 'stopped' } })
      await store.transition('b', 'stopped', 'running')
      await store.transition('b', 'running', 'stopped')
      expect(await all(pruned)).toEqual([])
      await store.transition('b', 'stopped', 'running')
      expect((await all(store.list())).map(({ id }) => id)).toEqual(['b', 'c', 'ready'])
      expect(await ids({ olderThan: 0, state: 'running' })).toEqual([])
      expect(() => store.prune({} as never)).toThrow(TypeError)
      expect(() => store.prune({ olderThan: -1 })).toThrow(TypeError)
      expect(() => store.prune({ olderThan: 1, force: true } as never)).toThrow(TypeError)
    })

    test('a signal ends a change that waits, before anything is changed', async () => {
      const store = await open()
      await store.create('a')
      const controller = new AbortController()
      const first = store.update('a', state => {
        controller.abort(new Error('enough'))
        return { ...state, blockIndex: 1 }
      })
      const { signal } = controller
      const second = store.update('a', state => ({ ...state, blockIndex: 2 }), { signal })
      await Promise.all([first, expect(second).rejects.toThrow('enough')])
      expect((await store.read('a')).blockIndex).toBe(1)
      await expect(store.transition('a', 'ready', 'running', { signal })).rejects.toThrow('enough')
      await expect(store.delete('a', { signal })).rejects.toThrow('enough')
      await expect(store.create('b', {}, { signal })).rejects.toThrow('enough')
      expect((await all(store.list())).map(({ id }) => id)).toEqual(['a'])
    })
  })
}
