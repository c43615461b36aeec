import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FINDING_CODES, type Finding, openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { canHave, faults, storeToDamage } from '../support/faults.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'

describe.each(Object.entries(faults))('%s', (_name, fault) => {
  test.runIf(canHave(fault))('is one finding, and nothing is changed', async () => {
    const { root, store, folder } = await storeToDamage()
    fault.make(folder)
    const before = picture(root)
    const findings = await all(store.check())
    const path = join(root, fault.path)
    const id = fault.code === 'INVALID_ID' ? {} : { id: 'bad' }
    expect(findings).toEqual([
      { ...id, code: fault.code, path, message: expect.any(String), repairable: fault.action !== 'left' },
    ])
    expect(findings[0]?.message).not.toContain('\u001b')
    expect(picture(root)).toEqual(before)
  })
})

test('every kind of fault has an example here', () => {
  const shown = new Set(Object.values(faults).map(({ code }) => code))
  expect([...FINDING_CODES].filter(code => !shown.has(code))).toEqual([])
})

test('healthy sandboxes, and a root that does not exist, have no fault', async () => {
  const { root, store } = await storeToDamage()
  const before = picture(root)
  expect(await all(store.check())).toEqual([])
  expect(picture(root)).toEqual(before)
  const nowhere = await openStore(join(root, 'not', 'there'))
  expect(await all(nowhere.check())).toEqual([])
  await nowhere.close()
})

test("a sandbox of Kata's, with its modes and its files, has no fault", async () => {
  const { root, store } = await storeToDamage()
  const fixtures = fileURLToPath(new URL('../../fixtures/kata', import.meta.url))
  for (const version of readdirSync(fixtures).filter(name => /^1\./.test(name))) {
    cpSync(join(fixtures, version), root, { recursive: true })
  }
  const ids = readdirSync(root).filter(id => id.startsWith('sandbox-'))
  expect(ids).toHaveLength(6)
  for (const id of ids) {
    chmodSync(join(root, id), 0o750)
    for (const name of ['state.json', 'lock']) chmodSync(join(root, id, name), 0o640)
  }
  expect(await all(store.check())).toEqual([])
})

test('several faults are each a finding, and the store can be used meanwhile', async () => {
  const { root, store, folder } = await storeToDamage()
  writeFileSync(join(folder, 'state.json'), '')
  chmodSync(join(folder, 'lock'), 0o644)
  mkdirSync(join(root, '-x'))
  const findings: Finding[] = []
  for await (const finding of store.check()) {
    findings.push(finding)
    await store.update('good', state => ({ ...state, blockIndex: state.blockIndex + 1 }))
  }
  expect(findings.map(({ code }) => code).sort()).toEqual(['EMPTY_STATE', 'INVALID_ID', 'WRONG_MODE'])
  expect((await store.read('good')).blockIndex).toBe(3)
})

test('a root in which others can write is a fault, and one that is a link is not', async () => {
  const { root } = await storeToDamage()
  const link = join(temporaryFolder(), 'root')
  symlinkSync(root, link)
  const store = await openStore(link)
  onTestFinished(() => store.close())
  expect(await all(store.check())).toEqual([])
  chmodSync(root, 0o1777)
  expect(await all(store.check())).toMatchObject([{ code: 'WRONG_MODE', path: link, repairable: false }])
})

test.each<[string, (path: string) => void, string]>([
  ['a link', path => symlinkSync('/tmp', path), 'SYMLINK'],
  ['a file', path => writeFileSync(path, ''), 'NOT_A_FOLDER'],
  [
    'open to others',
    path => {
      mkdirSync(path)
      chmodSync(path, 0o777)
    },
    'WRONG_MODE',
  ],
])('a quarantine that is %s is a fault', async (_kind, make, code) => {
  const { root, store } = await storeToDamage()
  make(join(root, '.quarantine'))
  expect(await all(store.check())).toMatchObject([
    { code, path: join(root, '.quarantine'), repairable: false },
  ])
})

test('a closed store is not checked, and ends a check', async () => {
  const { store, folder } = await storeToDamage()
  writeFileSync(join(folder, 'state.json'), '')
  const check = store.check()
  await store.close()
  await expect(check.next()).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(store.repair()).rejects.toMatchObject({ code: 'CLOSED' })
})

test('the document has a row for each kind of fault, and no other', () => {
  const document = readFileSync(new URL('../../docs/durability.md', import.meta.url), 'utf8')
  const rows = [...document.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code)
  expect(rows).toEqual([...FINDING_CODES])
})
