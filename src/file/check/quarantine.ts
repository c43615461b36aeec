import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Finding, FindingCode } from '../../check.js'
import { ioError, isErrno, reason } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { thisProcess } from '../../process-identity.js'
import { FILE_MODE, FOLDER_MODE, QUARANTINE } from '../layout.js'
import { pause } from '../lock/backoff.js'
import type { Patience } from '../lock/sandbox-lock.js'
import { Dir } from '../posix/dir.js'
import { LOCK_EX, LOCK_SH, tryFlock } from '../posix/flock.js'
import { namesIn } from '../posix/names-in.js'
import type { Owners } from './inspect.js'

/** What tells of an entry of the quarantine why it is there. */
const NOTE = 'note.json'

/** What is to be moved to the quarantine. */
export interface Removal {
  readonly root: string
  readonly id: string
  /** The folder that holds it: the sandbox's, or the root. */
  readonly from: Dir
  /** The names, those that are missing left out; the one that makes the sandbox faulty last. */
  readonly names: readonly string[]
  readonly why: readonly Finding[]
  readonly owners: Owners
  readonly durable: boolean
  readonly patience: Patience
  /** Whether it is still as it was found; asked when no other repair can be at it. */
  readonly isStillSo: () => boolean
}

const flush = promisify(fsync)

/**
 * Moves files to a new folder `<root>/.quarantine/<time>-<id>-<n>`: by rename, as they are, links as links. The note of
 * why is written first, so that nothing is ever there without one.
 * @returns the new folder's path; undefined when there was nothing left to move
 * @throws StateStoreError `LOCK_TIMEOUT` `CORRUPT_STATE` (the quarantine is no folder that only its owner can write) `IO_ERROR`
 */
export async function setAside(removal: Removal): Promise<string | undefined> {
  const { root, id, names, from, why, durable } = removal
  const owner = openRoot(root)
  let quarantine: Dir | undefined
  let entry: Dir | undefined
  try {
    quarantine = await lockQuarantine(owner, removal)
    if (!removal.isStillSo()) return undefined
    const files = names.filter(name => from.exists(name))
    if (files.length === 0) return undefined
    entry = makeEntry(quarantine, id)
    const note = writeNote(entry, noteOf(id, files, why))
    try {
      if (durable) await flush(note)
      if (durable) await flush(entry.fd)
      for (const name of files) from.rename(name, name, entry)
      giveAway([note, entry.fd], owner.fd)
    } finally {
      closeSync(note)
    }
    if (durable) for (const { fd } of [entry, from, quarantine, owner]) await flush(fd)
    return entry.path
  } catch (error) {
    throw ioError(error, 'set aside', id, from.displayPath(names.at(-1) ?? ''))
  } finally {
    if (entry !== undefined && quarantine !== undefined) removeIfEmpty(quarantine, entry)
    entry?.close()
    quarantine?.close()
    owner.close()
  }
}

/** Faults of the quarantine itself, and entries into which a killed repair moved nothing. */
export async function lookAtQuarantine(root: string, owners: Owners): Promise<Finding[]> {
  const path = join(root, QUARANTINE)
  let stat: Stats | undefined
  try {
    stat = lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw ioError(error, 'list', undefined, root)
  }
  if (stat === undefined) return []
  const found = (code: FindingCode, message: string): Finding[] => [
    { code, path, message: `${path}: ${message}`, repairable: false },
  ]
  if (stat.isSymbolicLink()) return found('SYMLINK', 'a symbolic link is where the quarantine belongs')
  if (!stat.isDirectory()) return found('NOT_A_FOLDER', 'something is where the quarantine belongs')
  if ((stat.mode & 0o022) !== 0) return found('WRONG_MODE', 'other users can write in the quarantine')
  if (!owners.has(stat.uid)) return found('WRONG_OWNER', `the quarantine belongs to user ${stat.uid}`)
  let unfinished: string[]
  try {
    unfinished = await unfinishedEntries(root, LOCK_SH, () => true)
  } catch (error) {
    return found('UNREADABLE', reason(error))
  }
  return unfinished.map(name => ({
    code: 'LEFTOVER',
    path: join(path, name),
    message: `${join(path, name)}: nothing was moved here, the repair was killed`,
    repairable: true,
  }))
}

/** Removes such entries; returns the paths of those that it removed. */
export async function sweepQuarantine(root: string): Promise<ReadonlySet<string>> {
  const removed = await unfinishedEntries(root, LOCK_EX, (quarantine, name) => {
    const entry = Dir.open(quarantine.procPath('.'), name)
    if (entry === undefined) return false
    try {
      return removeIfEmpty(quarantine, entry, name)
    } finally {
      entry.close()
    }
  })
  return new Set(removed.map(name => join(root, QUARANTINE, name)))
}

/** Those for which `handle` says true; none while a repair is moving something. */
async function unfinishedEntries(
  root: string,
  operation: typeof LOCK_SH | typeof LOCK_EX,
  handle: (quarantine: Dir, name: string) => boolean,
): Promise<string[]> {
  const unfinished: string[] = []
  const quarantine = Dir.open(root, QUARANTINE)
  if (quarantine === undefined) return unfinished
  try {
    if (!tryFlock(quarantine.fd, operation)) return unfinished
    for await (const name of namesIn(quarantine.procPath('.'), quarantine.path)) {
      if (isUnfinished(quarantine, name) && handle(quarantine, name)) unfinished.push(name)
    }
    return unfinished
  } finally {
    quarantine.close()
  }
}

function isUnfinished(quarantine: Dir, name: string): boolean {
  if (!ENTRY.test(name)) return false
  try {
    return readdirSync(quarantine.procPath(name)).every(file => file === NOTE)
  } catch {
    return false // Not a folder, or not ours to read.
  }
}

const ENTRY = /^\d{8}T\d{6}\.\d{3}Z-[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}-\d+$/

/** The root, as a folder to move something out of. It may itself be a symbolic link. */
export function openRoot(root: string): Dir {
  const { O_RDONLY, O_DIRECTORY } = constants
  try {
    return new Dir('', root, openSync(root, O_RDONLY | O_DIRECTORY))
  } catch (error) {
    throw ioError(error, 'open', undefined, root)
  }
}

/** One repair at a time moves things, so that of two that found the same fault the second sees that it is gone. */
async function lockQuarantine(owner: Dir, removal: Removal): Promise<Dir> {
  const { deadline, timeout } = removal.patience
  for (let attempt = 0; ; attempt++) {
    const quarantine = makeQuarantine(owner, removal)
    let locked = false
    try {
      locked = tryFlock(quarantine.fd, LOCK_EX) && isThere(owner, quarantine)
    } finally {
      if (!locked) quarantine.close()
    }
    if (locked) return quarantine
    const left = deadline - performance.now()
    if (left <= 0) {
      const message = `${quarantine.path} is locked by another repair; gave up after ${timeout / 1000} s`
      throw new StateStoreError('LOCK_TIMEOUT', message, { id: removal.id, path: quarantine.path })
    }
    await pause(attempt, left)
  }
}

function makeQuarantine(owner: Dir, { id, owners }: Removal): Dir {
  const path = owner.displayPath(QUARANTINE)
  const made = makeFolder(owner.procPath(QUARANTINE))
  const quarantine = openFolder(owner, QUARANTINE)
  try {
    if (made) {
      fchmodSync(quarantine.fd, FOLDER_MODE) // Whatever the umask.
      giveAway([quarantine.fd], owner.fd)
    }
    const stat = fstatSync(quarantine.fd)
    if (owners.has(stat.uid) && (stat.mode & 0o022) === 0) return quarantine
  } catch (error) {
    quarantine.close()
    throw error
  }
  quarantine.close()
  const message = `${path} belongs to another user, or another user can write in it; nothing is moved there`
  throw new StateStoreError('CORRUPT_STATE', message, { id, path })
}

function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, FOLDER_MODE)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

function makeEntry(quarantine: Dir, id: string): Dir {
  const time = new Date().toISOString().replace(/[-:]/g, '')
  for (let n = 1; ; n++) {
    const name = `${time}-${id}-${n}`
    if (!makeFolder(quarantine.procPath(name))) continue
    const entry = openFolder(quarantine, name)
    fchmodSync(entry.fd, FOLDER_MODE) // Whatever the umask.
    return entry
  }
}

function openFolder(parent: Dir, name: string): Dir {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
  const fd = openSync(parent.procPath(name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  return new Dir(name, parent.displayPath(name), fd)
}

function isThere(owner: Dir, quarantine: Dir): boolean {
  const held = fstatSync(quarantine.fd)
  const there = lstatSync(owner.procPath(QUARANTINE), { throwIfNoEntry: false })
  return there?.ino === held.ino && there.dev === held.dev
}

function noteOf(id: string, files: readonly string[], why: readonly Finding[]): string {
  const { pid, host, command } = thisProcess()
  const faults = why.map(({ code, path, message }) => ({ code, path, message }))
  const note = { time: new Date().toISOString(), id, files, faults, by: { pid, host, command } }
  return `${JSON.stringify(note, undefined, 2)}\n`
}

function writeNote(entry: Dir, text: string): number {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const fd = openSync(entry.procPath(NOTE), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE)
  try {
    writeFileSync(fd, text)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** What root makes in a user's root is that user's, who could not repair it further otherwise. */
function giveAway(fds: readonly number[], like: number): void {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = fstatSync(like)
  for (const fd of fds) fchownSync(fd, uid, gid)
}

/** Removes an entry that nothing was moved to. */
function removeIfEmpty(quarantine: Dir, entry: Dir, name = entry.id): boolean {
  try {
    const files = readdirSync(entry.procPath('.'))
    if (files.some(file => file !== NOTE)) return false
    for (const file of files) entry.unlink(file)
    quarantine.rmdir(name)
    return true
  } catch {
    return false // The next repair tries again.
  }
}
