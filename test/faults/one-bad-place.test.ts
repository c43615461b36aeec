import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { places } from '../support/effort.js'
import { holdFlock } from '../support/flock.js'
import { damageInodes, mountExt4, smallFilesystems } from '../support/mount.js'
import {
  giveToOrdinaryUser,
  nextMessage,
  noOrdinaryUser,
  ORDINARY_USER,
  startProgram,
} from '../support/program.js'
import { temporaryFolder } from '../support/root.js'

// One sandbox cannot be read. That is one row; all others are still listed, checked and repaired.

interface Row {
  readonly id?: string
  readonly path?: string
  readonly code?: string
  readonly action?: string
  readonly thrown?: string
}

type Report = Readonly<Record<'list' | 'locks' | 'check' | 'repair' | 'checkedAgain', readonly Row[]>>

/** Makes `a-torn` and `z-torn`, to be repaired, `good`, to be held, and sandboxes for the test to damage. */
async function newSandboxes(root: string, ...bad: readonly string[]): Promise<void> {
  const store = await openStore(root)
  for (const id of ['a-torn', ...bad, 'good', 'z-torn']) await store.create(id)
  for (const id of ['a-torn', 'z-torn']) writeFileSync(join(root, id, 'state.json'), '{"sta')
  await store.close()
}

async function survey(root: string, user?: typeof ORDINARY_USER): Promise<Report> {
  const held = await holdFlock(join(root, 'good', 'lock'))
  const child = startProgram('surveyor', [root], user)
  const ended = once(child, 'close')
  const report = await nextMessage(child)
  // A process that has a file open keeps the filesystem from being unmounted.
  await Promise.all([held.release(), ended])
  return report as Report
}

/** The others are listed, found and repaired, and each bad one has a row of its own. */
function expectComplete(report: Report, ...bad: readonly string[]): void {
  for (const rows of Object.values(report))
    expect(rows.filter(({ thrown }) => thrown !== undefined)).toEqual([])
  const row = (id: string, fields: object) => expect.objectContaining({ id, ...fields })
  const torn = ['a-torn', 'z-torn']
  const corrupt = torn.map(id => row(id, { code: 'CORRUPT_STATE' }))
  expect(report.list).toEqual(expect.arrayContaining([row('good', {}), ...corrupt]))
  expect(report.locks).toContainEqual(row('good', { lock: 'flock' }))
  expect(report.check).toEqual(expect.arrayContaining([...torn, ...bad].map(id => row(id, {}))))
  const repaired = torn.map(id => row(id, { action: 'moved' }))
  expect(report.repair).toEqual(expect.arrayContaining([...repaired, ...bad.map(id => row(id, {}))]))
  const left = report.checkedAgain.map(({ id }) => id)
  expect(left.filter(id => torn.includes(id ?? ''))).toEqual([])
}

if (noOrdinaryUser !== undefined) console.warn(`no ordinary user looks at a root: ${noOrdinaryUser}`)

describe.skipIf(noOrdinaryUser !== undefined).each(places)(
  'a folder of mode 0400 that an ordinary user sees, on $name',
  ({ folder }) => {
    test('is one row of check, repair and locks', async () => {
      const root = temporaryFolder(folder)
      await newSandboxes(root, 'bad')
      chmodSync(join(root, 'bad'), 0o400)
      giveToOrdinaryUser(root)
      expectComplete(await survey(root, ORDINARY_USER), 'bad')
    })
  },
)

const noDamage =
  smallFilesystems.find(({ name }) => name.startsWith('ext4'))?.missing ??
  (spawnSync('debugfs', ['-V']).status === 0 ? undefined : 'debugfs is not installed')
if (noDamage !== undefined) console.warn(`no inode is damaged: ${noDamage}`)

describe.skipIf(noDamage !== undefined)('a damaged inode, EUCLEAN', () => {
  test.each([
    '.',
    'state.json',
    'lock',
    'history.jsonl',
    'state.json.lock',
    '.state.json.tmp',
    'persist.json',
  ])('of %s is one row of check, repair and locks', async name => {
    const folder = mountExt4()
    const root = join(folder, 'root')
    await newSandboxes(root, 'bad')
    const damaged = join(root, 'bad', name)
    if (!readdirSync(join(root, 'bad')).includes(name) && name !== '.') writeFileSync(damaged, '{}')
    damageInodes(folder, damaged.slice(folder.length + 1))
    expectComplete(await survey(root), 'bad')
  })

  test('of the quarantine is one row; the sandboxes are checked, and repair says of each that it failed', async () => {
    const folder = mountExt4()
    const root = join(folder, 'root')
    await newSandboxes(root)
    mkdirSync(join(root, '.quarantine'), 0o700)
    damageInodes(folder, 'root/.quarantine')
    const { check, repair } = await survey(root)
    const row = (fields: object) => expect.objectContaining(fields)
    const torn = ['a-torn', 'z-torn']
    const quarantine = row({ path: join(root, '.quarantine') })
    expect(check).toEqual(expect.arrayContaining([quarantine, ...torn.map(id => row({ id }))]))
    expect(repair).toEqual(
      expect.arrayContaining([quarantine, ...torn.map(id => row({ id, action: 'failed' }))]),
    )
  })
})
