import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copyStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { all } from '../support/all.js'
import { places } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

/** Members as another program or a person may write them into a file, and this package never does. */
const MEMBERS: Readonly<Record<string, string>> = {
  'labels-null': '"labels":null',
  'labels-number': '"labels":12345678901234567890',
  'labels-list': '"labels":["a",1.0]',
  'labels-nested': '"labels":{"a":{"b":[1e400]}}',
  'labels-case': '"Labels":{"a":"b"},"LABELS":1.0',
  'data-number': '"data":12345678901234567890',
  'data-large': '"data":{"a":1e400,"b":[-0,1.0]}',
  'data-duplicates': '"data":{"a":1,"a":2,"10":0,"9":0}',
  'data-escapes': '"data":"\\u0041\\/\\ud800"',
  'data-case': '"DATA":[1.0]',
  'data-deep': `"data":${'[1.0,'.repeat(5_000)}0${']'.repeat(5_000)}`,
}
const ids = Object.keys(MEMBERS)

describe.each(places)('odd labels and data, on $name', ({ folder }) => {
  async function setUp() {
    const root = temporaryFolder(folder)
    for (const [id, members] of Object.entries(MEMBERS)) {
      mkdirSync(join(root, id), { mode: 0o700 })
      writeFileSync(join(root, id, 'state.json'), `{${members},"state":"ready"}`)
    }
    const store = await openTestStore(root)
    const textOf = (id: string) => readFileSync(join(root, id, 'state.json'), 'utf8')
    return { root, store, textOf }
  }

  test('survive every change, one at a time and many at once', async () => {
    const { store, textOf } = await setUp()
    expect((await all(store.list())).filter(entry => 'error' in entry)).toEqual([])
    for (const id of ids) await store.transition(id, 'ready', 'running')
    const update = (id: string) => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
    await Promise.all([...ids, ...ids, ...ids].map(update))
    for (const [id, members] of Object.entries(MEMBERS)) {
      const kata = '"state":"running","blockIndex":3,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false'
      expect(textOf(id)).toBe(`{${kata},${members}}`)
    }
    expect(await all(store.check())).toEqual([])
  })

  test('are copied to another store', async () => {
    const { store, textOf } = await setUp()
    for (const id of ids) await store.transition(id, 'ready', 'stopped')
    const target = temporaryFolder(folder)
    const to = await openTestStore(target)
    expect(await copyStore(store, to)).toEqual({ copied: ids.length, same: 0, failed: [] })
    for (const id of ids) expect(readFileSync(join(target, id, 'state.json'), 'utf8')).toBe(textOf(id))
    expect(await copyStore(store, to)).toEqual({ copied: 0, same: ids.length, failed: [] })
  })

  test('are not overwritten: a change that would do so changes nothing', async () => {
    const { store, textOf } = await setUp()
    const odd = ids.filter(id => id.startsWith('labels-') && id !== 'labels-case')
    for (const id of odd) {
      const before = textOf(id)
      const change = store.update(id, state => ({ ...state, blockIndex: 5, labels: { a: 'b' } }))
      await expect(change).rejects.toMatchObject({ code: 'INVALID_STATE', id })
      expect(textOf(id)).toBe(before)
    }
    await store.update('labels-case', state => ({ ...state, labels: { c: 'd' } }))
    expect(textOf('labels-case')).toContain(',"labels":{"c":"d"},"Labels":{"a":"b"},"LABELS":1.0}')
  })

  test('data keeps its text in a transition, and where a schema leaves it as it is', async () => {
    const { root, textOf } = await setUp()
    const store = await openTestStore(root, { data: z.object({ a: z.unknown() }) })
    await store.transition('data-large', 'ready', 'running')
    expect(textOf('data-large')).toContain(`,${MEMBERS['data-large']}}`)
    await store.update('data-large', state => ({ ...state, labels: { a: 'b' } }))
    expect(textOf('data-large')).toContain('"labels":{"a":"b"},"data":{"a":null}')
    const loose = await openTestStore(root, { data: z.looseObject({ a: z.unknown() }) })
    await loose.update('data-duplicates', state => ({ ...state, labels: { a: 'b' } }))
    expect(textOf('data-duplicates')).toContain(`"labels":{"a":"b"},${MEMBERS['data-duplicates']}`)
  })
})
