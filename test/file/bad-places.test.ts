import fs, { chmodSync, chownSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join, sep } from 'node:path'
import type { Finding, Repair } from 'sandbox-state'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { listLocks } from '#src/file/lock/list-locks.js'
import { libc } from '#src/file/posix/libc.js'
import { all } from '../support/all.js'
import { storeToDamage } from '../support/faults.js'
import { nextMessage, startProgram } from '../support/program.js'
import { until } from '../support/wait.js'

const USER = 4711
const LOCK_UN = 8

/** What another user's check, repair and list of locks give; that user owns the root folder. */
async function asUser(root: string): Promise<{ findings: Finding[]; repairs: Repair[]; locks: unknown[] }> {
  const answer = await nextMessage(startProgram('other-user', [root, String(USER)]))
  return answer as { findings: Finding[]; repairs: Repair[]; locks: unknown[] }
}

/** Gives a root folder and everything below it to that user. */
function giveAway(path: string): void {
  chownSync(path, USER, USER)
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) giveAway(join(path, name))
}

/** Until the test ends, replaces a function of node:fs, such as by one that fails for some paths, as on a damaged disk. */
function intercept(
  name: 'lstatSync' | 'opendirSync',
  replace: (path: string, call: () => unknown) => unknown,
): void {
  const functions = fs as unknown as Record<string, (...args: unknown[]) => unknown>
  const original = functions[name] as (...args: unknown[]) => unknown
  functions[name] = (...args) => replace(String(args[0]), () => original(...args))
  syncBuiltinESMExports()
  onTestFinished(() => {
    functions[name] = original
    syncBuiltinESMExports()
  })
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk is damaged, lstat`), { code })
}

/** Whether a path below /proc/PID/fd, or an ordinary one, is in a folder. */
function isIn(path: string, folder: string): boolean {
  const parent = path.slice(0, path.lastIndexOf(sep))
  return parent !== '' && fs.existsSync(parent) && fs.realpathSync(parent) === folder
}

describe('one bad place', () => {
  test.each(['EUCLEAN', 'EIO'])('on the disk, with %s, is one row of its sandbox', async code => {
    const { root, store, folder } = await storeToDamage()
    writeFileSync(join(root, 'good', 'state.json'), '')
    intercept('lstatSync', (path, call) => {
      if (isIn(path, folder)) throw systemError(code)
      return call()
    })
    const bad = { id: 'bad', code: 'UNREADABLE' }
    const message = expect.stringContaining(`${code}: the disk is damaged`)
    const findings = (await all(store.check())).toSorted((a, b) => (a.path < b.path ? -1 : 1))
    expect(findings).toMatchObject([
      { ...bad, message, repairable: false },
      { id: 'good', code: 'EMPTY_STATE' },
    ])
    const rows = (await store.repair()).toSorted((a, b) => (a.path < b.path ? -1 : 1))
    expect(rows).toMatchObject([
      { ...bad, message, action: 'left' },
      { id: 'good', code: 'EMPTY_STATE', action: 'moved' },
    ])
    expect(await all(listLocks(root))).toEqual([])
  })

  test.runIf(process.geteuid?.() === 0)('of mode 0400 is one row for its own user', async () => {
    const { root, folder } = await storeToDamage()
    writeFileSync(join(root, 'good', 'state.json'), '')
    giveAway(root)
    chmodSync(folder, 0o400)
    const { findings, repairs, locks } = await asUser(root)
    const byId = (a: { id?: string }, b: { id?: string }) => String(a.id).localeCompare(String(b.id))
    expect(findings.toSorted(byId)).toMatchObject([
      { id: 'bad', code: 'UNREADABLE', message: expect.stringContaining('EACCES') },
      { id: 'good', code: 'EMPTY_STATE' },
    ])
    expect(repairs.toSorted(byId)).toMatchObject([
      { id: 'bad', action: 'left' },
      { id: 'good', action: 'moved' },
    ])
    expect(locks).toEqual([])
  })

  test('in the root itself, met midway, loses nothing of what a repair did', async () => {
    const { root, store } = await storeToDamage()
    for (const id of ['good', 'bad']) writeFileSync(join(root, id, 'state.json'), '')
    intercept('opendirSync', (path, call) => {
      const entries = call() as fs.Dir
      if (path !== root) return entries
      let count = 0
      const readSync = () => {
        if (++count > 2) throw systemError('EIO')
        return entries.readSync()
      }
      return { readSync, closeSync: () => entries.closeSync() }
    })
    await expect(all(store.check())).rejects.toMatchObject({ code: 'IO_ERROR', path: root })
    expect(await store.repair()).toMatchObject([
      { code: 'EMPTY_STATE', action: 'moved' },
      { code: 'EMPTY_STATE', action: 'moved' },
      { code: 'UNREADABLE', path: root, action: 'failed', message: expect.stringContaining('EIO') },
    ])
  })
})

describe('looking keeps nobody out', () => {
  test('of a sandbox in which a change comes and goes, or of a quarantine without a fault', async () => {
    const { root, store, folder } = await storeToDamage()
    writeFileSync(join(root, 'good', 'state.json'), '')
    expect(await store.repair()).toMatchObject([{ action: 'moved' }])
    using flock = vi.spyOn(libc, 'flock')
    mkdirSync(join(folder, 'state.json.lock'), 0o500)
    writeFileSync(join(folder, '.state.json.tmp'), '')
    let hasLooked = false
    intercept('lstatSync', (path, call) => {
      hasLooked ||= path.endsWith('/.state.json.tmp')
      return call()
    })
    const check = all(store.check())
    await until('it has seen both', () => hasLooked)
    rmdirSync(join(folder, 'state.json.lock'))
    fs.unlinkSync(join(folder, '.state.json.tmp'))
    expect(await check).toEqual([])
    expect(flock.mock.calls.filter(([, operation]) => operation !== LOCK_UN)).toEqual([])
  })

  test('of a sandbox of another program', async () => {
    const { store, folder } = await storeToDamage()
    writeFileSync(join(folder, 'state.json'), '{"sandbox_type":"virtcontainer","resource":null}')
    using flock = vi.spyOn(libc, 'flock')
    expect(await all(store.check())).toMatchObject([{ code: 'FOREIGN_SCHEMA' }])
    expect(flock).not.toHaveBeenCalled()
  })
})

test('what a create has taken over before a repair could remove it is no failure', async () => {
  const { root, store } = await storeToDamage()
  const folder = join(root, 'new')
  mkdirSync(folder, 0o700)
  writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
  const { unlinkat } = libc
  using unlink = vi.spyOn(libc, 'unlinkat').mockImplementation((fd, name, flags) => {
    const result = unlinkat(fd, name, flags)
    if (name === 'lock') {
      writeFileSync(join(folder, 'lock'), '', { mode: 0o600 })
      writeFileSync(join(folder, 'state.json'), '{"state":"ready"}', { mode: 0o600 })
    }
    return result
  })
  expect(await store.repair()).toEqual([])
  expect(unlink.mock.calls.map(([, name]) => name)).toContain('lock')
  expect((await store.read('new')).state).toBe('ready')
})

test('copies of a state that somebody keeps beside it are neither a fault nor removed', async () => {
  const { store, folder } = await storeToDamage()
  for (const name of ['state.json.1', 'state.json.20260101']) writeFileSync(join(folder, name), 'mine')
  expect(await all(store.check())).toEqual([])
  expect(await store.repair()).toEqual([])
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['state.json.1', 'state.json.20260101']))
})

describe.runIf(process.geteuid?.() === 0)("in a user's root folder, after root was killed there", () => {
  test('a quarantine that root did not give to that user does not keep the user from a repair', async () => {
    const { root, folder } = await storeToDamage()
    writeFileSync(join(folder, 'state.json'), '')
    giveAway(root)
    mkdirSync(join(root, '.quarantine'), 0o700)
    const { repairs } = await asUser(root)
    expect(repairs.filter(({ id }) => id === 'bad')).toMatchObject([{ code: 'EMPTY_STATE', action: 'moved' }])
    expect(statSync(join(root, '.quarantine')).uid).toBe(USER)
    const { findings } = await asUser(root)
    expect(findings).toEqual([])
  })

  test('what root sets aside there is that user’s, and so is what root once kept', async () => {
    const { root, store, folder } = await storeToDamage()
    writeFileSync(join(folder, 'state.json'), '')
    giveAway(root)
    mkdirSync(join(root, '.quarantine'), 0o700)
    const [row] = await store.repair()
    expect(row?.action).toBe('moved')
    const entry = row?.to ?? ''
    const paths = [join(root, '.quarantine'), entry, join(entry, 'note.json')]
    expect(paths.map(path => statSync(path).uid)).toEqual([USER, USER, USER])
  })

  test('modes of files that are root’s are left, as that user cannot set them', async () => {
    const { root, folder } = await storeToDamage()
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644)
    for (const path of [folder, root]) chmodSync(path, 0o755)
    const { findings, repairs } = await asUser(root)
    const modes = <Row extends { code: string }>(rows: readonly Row[]) =>
      rows.filter(({ code }) => code === 'WRONG_MODE')
    expect(modes(findings)).toHaveLength(4)
    expect(modes(findings)).toEqual(modes(findings).map(finding => ({ ...finding, repairable: false })))
    expect(modes(repairs).map(({ action }) => action)).toEqual(['left', 'left', 'left', 'left'])
  })

  test('a lock of root’s is left, with the reason', async () => {
    const { root, folder } = await storeToDamage()
    giveAway(root)
    chownSync(join(folder, 'lock'), 0, 0)
    const { repairs } = await asUser(root)
    const message = expect.stringContaining('only that user can tell whether it is held')
    expect(repairs).toMatchObject([{ id: 'bad', code: 'WRONG_OWNER', action: 'left', message }])
  })
})
