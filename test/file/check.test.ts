import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FINDING_CODES, type Finding } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { canHave, faults, storeToDamage } from '../support/faults.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

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
  const nowhere = await openTestStore(join(root, 'not', 'there'))
  expect(await all(nowhere.check())).toEqual([])
})

/** Sets the mode of a sandbox's folder and of each file in it. */
function setModes(folder: string, mode: number, fileMode: number): void {
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), fileMode)
  chmodSync(folder, mode)
}

describe('a mode that', () => {
  test.each([
    [0o750, 0o644],
    [0o700, 0o666],
    [0o2750, 0o640],
    [0o750, 0o755],
  ])('lets nobody in is no fault: %o, and files of %o', async (mode, fileMode) => {
    const { store, folder } = await storeToDamage()
    setModes(folder, mode, fileMode)
    expect(await all(store.check())).toEqual([])
  })

  test('lets others in is one of the folder and of each file that they reach', async () => {
    const { store, folder } = await storeToDamage()
    setModes(folder, 0o755, 0o644)
    const findings = await all(store.check())
    const names = ['', '/state.json', '/lock', '/history.jsonl']
    expect(findings.map(({ path }) => path).sort()).toEqual(names.map(name => folder + name).sort())
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['WRONG_MODE']))
    await store.repair()
    expect(await all(store.check())).toEqual([])
  })
})

describe('a root that is shared with a group, as a volume with fsGroup', () => {
  test.each([
    ['as Kubernetes sets it for each file', 0o2770, 0o660],
    ['as its folder is', 0o2775, 0o660],
  ])('has no fault: modes %s', async (_, mode, fileMode) => {
    const { root, store, folder } = await storeToDamage()
    chmodSync(root, 0o2775)
    mkdirSync(join(root, '.quarantine'))
    chmodSync(join(root, '.quarantine'), 0o2770)
    setModes(folder, mode, fileMode)
    expect(await all(store.check())).toEqual([])
  })

  test('has one where others than the group are let in, or where it is not shared on purpose', async () => {
    const { root, store, folder } = await storeToDamage()
    chmodSync(root, 0o2775)
    setModes(folder, 0o2775, 0o664)
    const files = (await all(store.check())).map(({ path }) => path)
    expect(files.sort()).toEqual(['history.jsonl', 'lock', 'state.json'].map(name => join(folder, name)))
    await store.repair()
    setModes(folder, 0o700, 0o600)
    chmodSync(root, 0o775)
    expect(await all(store.check())).toMatchObject([{ code: 'WRONG_MODE', path: root }])
    chmodSync(root, 0o2777)
    expect(await all(store.check())).toMatchObject([{ code: 'WRONG_MODE', path: root }])
  })
})

test.each([
  'lost+found',
  '.DS_Store',
  '._.DS_Store',
  '@eaDir',
  '.snapshot',
  '.nfs00000000001',
  '.Trash-1000',
])('%s beside the sandboxes is no fault', async name => {
  const { root, store } = await storeToDamage()
  mkdirSync(join(root, name))
  expect(await all(store.check())).toEqual([])
})

test('what Kubernetes makes where it mounts a ConfigMap is no fault either', async () => {
  const { root, store } = await storeToDamage()
  mkdirSync(join(root, '..2026_11_26_13_44_00.1234567'))
  symlinkSync('..2026_11_26_13_44_00.1234567', join(root, '..data'))
  expect(await all(store.check())).toEqual([])
})

const canMount = process.platform === 'linux' && process.geteuid?.() === 0

describe.runIf(canMount).each([
  ['a filesystem', (at: string) => ['-t', 'tmpfs', 'sandbox-state-test', at]],
  ['a folder', (at: string) => ['--bind', temporaryFolder(), at]],
])('where %s is mounted in the root', (_, mount) => {
  test('it is a place for a sandbox, and no fault without one', async () => {
    const { root, store } = await storeToDamage()
    const folder = join(root, 'mounted')
    mkdirSync(folder)
    const { status, stderr } = spawnSync('mount', mount(folder), { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    onTestFinished(() => void spawnSync('umount', [folder]))
    expect(await all(store.check())).toEqual([])
    expect(await store.repair()).toEqual([])
    chmodSync(folder, 0o755)
    await store.create('mounted')
    expect(await all(store.check())).toEqual([])
    await store.delete('mounted')
    expect(await all(store.check())).toEqual([])
    expect(readdirSync(root)).toContain('mounted')
  })
})

test('several faults are each a finding, and the store can be used meanwhile', async () => {
  const { root, store, folder } = await storeToDamage()
  writeFileSync(join(folder, 'state.json'), '')
  chmodSync(folder, 0o755)
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
  const store = await openTestStore(link)
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
