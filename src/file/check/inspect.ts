import { fstatSync, lstatSync, opendirSync, readdirSync, type Stats } from 'node:fs'
import { type Finding, type FindingCode, stateFault } from '../../check.js'
import { isErrno } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { MAX_STATE_BYTES } from '../../state/codec.js'
import { firstBadLine } from '../history-line.js'
import {
  FILE_MODE,
  FOLDER_MODE,
  HISTORY_FILE,
  isTemporaryFile,
  LOCK_FILE,
  OLD_HISTORY_FILE,
  PERSIST_FILE,
  STATE_FILE,
  STATE_LOCK,
} from '../layout.js'
import { isDead, isFromFuture } from '../lock/dot-lock.js'
import { Dir } from '../posix/dir.js'
import { readRegularFile } from '../posix/regular-file.js'

/** What one look at a sandbox's folder shows. */
export interface Look {
  /** While a change is under way, these may be its doing: see `lookTwice`. */
  readonly findings: readonly Finding[]
  /** Whether another program's proper-lockfile lock is there, and fresh. */
  readonly strangerInside: boolean
  /** For how many ms the folder has had the names that it has. */
  readonly age: number
}

/** Whose files may be below a root, by uid. */
export type Owners = ReadonlySet<number>

/** Kata gives its own files and folders these modes at most; what we make has less: 0600 and 0700. */
const WIDEST_FILE = 0o640
const WIDEST_FOLDER = 0o750

/** Of a folder with more entries only so many are looked at. Kata keeps about ten. */
const MOST_ENTRIES = 10_000

/**
 * Looks at `<root>/<id>` and everything of ours in it, in a few dozen system calls; changes nothing, waits for nothing.
 * @throws StateStoreError `IO_ERROR` when it is this process that lacks something: descriptors, memory
 */
export function look(root: string, id: string, owners: Owners): Look {
  let folder: Dir | undefined
  try {
    folder = Dir.open(root, id)
  } catch (error) {
    return { findings: [cannotOpen(error, id)], strangerInside: false, age: Number.POSITIVE_INFINITY }
  }
  if (folder === undefined) return NOTHING_THERE
  try {
    return lookInside(folder, owners)
  } finally {
    folder.close()
  }
}

/** Of a sandbox that is not there, or no more. */
export const NOTHING_THERE: Look = { findings: [], strangerInside: false, age: 0 }

/** {@link look}, in a folder that is open. */
export function lookInside(folder: Dir, owners: Owners): Look {
  const stat = fstatSync(folder.fd)
  if (stat.nlink === 0) return NOTHING_THERE // Deleted meanwhile.
  const age = Math.abs(Date.now() - stat.ctimeMs)
  const note = new Notes(folder)
  const state = lookAtState(note, folder, owners)
  const persist = statOf(folder, PERSIST_FILE)
  if (state === 'foreign' || (state === undefined && persist !== undefined)) {
    const name = state === 'foreign' ? STATE_FILE : PERSIST_FILE
    const message = "the sandbox is of another program's schema; it is neither read nor changed"
    return { findings: [note.finding('FOREIGN_SCHEMA', name, message)], strangerInside: false, age }
  }
  if (persist !== undefined) {
    note.add('MIXED_SCHEMA', PERSIST_FILE, "another program's schema is beside a state of ours")
  }
  const entries = lookAtEntries(folder)
  const isOurs = state === 'there' || entries === undefined || entries.hasOurs || isNewlyMade(entries, stat)
  lookAtRights(note, '.', stat, owners, isOurs)
  for (const name of [LOCK_FILE, HISTORY_FILE, OLD_HISTORY_FILE]) lookAtFile(note, folder, name, owners)
  const lock = lookAtStateLock(folder)
  const strangerInside = lock === 'fresh' || lock === 'future'
  if (entries === undefined) {
    note.add('OVERSIZE', '.', `it holds more than ${MOST_ENTRIES} entries; not all were looked at`)
  }
  for (const name of entries?.folders ?? []) {
    note.add('NOT_A_FILE', name, 'a folder has the name of a temporary file')
  }
  if (state === undefined && entries?.onlyOurs === true && isOurs && !strangerInside) {
    note.add('UNFINISHED_CREATE', '.', 'it holds no state: a create or a delete was killed', true)
  } else {
    if (state === undefined) {
      note.add('UNFINISHED_CREATE', '.', "it holds no state, and may be another program's")
    }
    // While a stranger is inside, these are its own.
    for (const name of strangerInside ? [] : (entries?.temporary ?? [])) {
      note.add('LEFTOVER', name, 'a temporary file of a process that was killed', true)
    }
    if (lock === 'dead') note.add('DEAD_LOCK', STATE_LOCK, 'the holder of this lock is dead', true)
  }
  if (lock === 'future') {
    const message =
      "another program's lock with a time to come: remove it if no program has the sandbox in use"
    note.add('FUTURE_LOCK', STATE_LOCK, message)
  }
  if (lock === 'SYMLINK' || lock === 'NOT_A_FOLDER') {
    note.add(lock, STATE_LOCK, `${kindOf(lock)} is where an empty lock folder belongs`, true)
  }
  return { findings: note.findings, strangerInside, age }
}

/** Collects the findings of one folder. */
class Notes {
  readonly findings: Finding[] = []

  constructor(private readonly folder: Dir) {}

  finding(code: FindingCode, name: string, message: string, repairable = false): Finding {
    const { id } = this.folder
    const path = this.folder.displayPath(name)
    return { code, id, path, message: `${path}: ${message}`, repairable }
  }

  add(code: FindingCode, name: string, message: string, repairable = false): void {
    this.findings.push(this.finding(code, name, message, repairable))
  }
}

/** @returns undefined when there is none */
function lookAtState(note: Notes, folder: Dir, owners: Owners): 'there' | 'foreign' | undefined {
  const stat = statOf(folder, STATE_FILE)
  if (stat === undefined) return undefined
  const bytes = lookAtKind(note, folder, STATE_FILE, stat)
  if (bytes === undefined) return 'there'
  const fault = stateFault(bytes)
  if (fault?.code === 'FOREIGN_SCHEMA') return 'foreign'
  if (fault === undefined) lookAtRights(note, STATE_FILE, stat, owners)
  else note.add(fault.code, STATE_FILE, fault.message, true)
  return 'there'
}

function lookAtFile(note: Notes, folder: Dir, name: string, owners: Owners): void {
  const stat = statOf(folder, name)
  if (stat === undefined) return
  const isLock = name === LOCK_FILE
  const bytes = lookAtKind(note, folder, name, stat, isLock)
  if (bytes === undefined) return
  const line = isLock ? undefined : firstBadLine(Buffer.from(bytes).toString('utf8'))
  if (line !== undefined) {
    note.add('DAMAGED_HISTORY', name, `line ${line} is no entry of a history`, true)
    return
  }
  if (stat.nlink > 1) note.add('HARD_LINK', name, 'it is written in place, and has another name elsewhere')
  lookAtRights(note, name, stat, owners)
}

/** @returns the content, none of a lock's; undefined when there is nothing more to be said of it */
function lookAtKind(
  note: Notes,
  folder: Dir,
  name: string,
  stat: Stats,
  withoutContent = false,
): Uint8Array | undefined {
  if (stat.isSymbolicLink() || !stat.isFile()) {
    const code = stat.isSymbolicLink() ? 'SYMLINK' : 'NOT_A_FILE'
    note.add(code, name, `${kindOf(code)} is where a file belongs`, true)
    return undefined
  }
  if (withoutContent) return new Uint8Array()
  if (stat.size > MAX_STATE_BYTES) {
    note.add('OVERSIZE', name, `it is larger than ${MAX_STATE_BYTES} bytes`, true)
    return undefined
  }
  try {
    return readRegularFile(folder, name, MAX_STATE_BYTES)?.bytes
  } catch (error) {
    note.findings.push(unreadable(error, folder.id, folder.displayPath(name)))
    return undefined
  }
}

function lookAtRights(note: Notes, name: string, stat: Stats, owners: Owners, isOurs = true): void {
  const [ours, widest] = name === '.' ? [FOLDER_MODE, WIDEST_FOLDER] : [FILE_MODE, WIDEST_FILE]
  // Set-group-ID and the sticky bit of a folder let nobody in.
  const mode = stat.mode & (name === '.' ? 0o777 : 0o7777)
  if ((mode & ~widest) !== 0 || (mode & ours) !== ours) {
    const message = `its mode is ${octal(mode)} and should be ${octal(ours)}`
    note.add('WRONG_MODE', name, message, isOurs && mayChangeMode(stat, owners))
  }
  if (!owners.has(stat.uid)) {
    note.add('WRONG_OWNER', name, `it belongs to user ${stat.uid}, not to ${[...owners].join(' or ')}`)
  }
}

/** A file that has another name elsewhere, or another owner, is not only ours. */
export function mayChangeMode(stat: Stats, owners: Owners): boolean {
  return owners.has(stat.uid) && (stat.isDirectory() || stat.nlink === 1)
}

type LockKind = 'dead' | 'fresh' | 'future' | 'SYMLINK' | 'NOT_A_FOLDER'

function lookAtStateLock(folder: Dir): LockKind | undefined {
  const stat = statOf(folder, STATE_LOCK)
  if (stat === undefined) return undefined
  if (stat.isSymbolicLink()) return 'SYMLINK'
  if (!stat.isDirectory()) return 'NOT_A_FOLDER'
  if (!isDead(stat)) return isFromFuture(stat) ? 'future' : 'fresh'
  return isEmpty(folder.procPath(STATE_LOCK)) ? 'dead' : 'NOT_A_FOLDER'
}

function isEmpty(path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return true // Gone, or not ours to read.
  }
}

interface Entries {
  readonly temporary: readonly string[]
  /** Those of a temporary file's name. */
  readonly folders: readonly string[]
  /** There is nothing else than what we make. */
  readonly onlyOurs: boolean
  /** There is something that has a name of ours. */
  readonly hasOurs: boolean
}

/** As a create that was killed at once leaves it, whatever the umask. An empty folder that others may use is another's. */
function isNewlyMade({ onlyOurs }: Entries, { mode }: Stats): boolean {
  return onlyOurs && (mode & 0o077) === 0
}

/** @returns undefined when there are too many */
function lookAtEntries(folder: Dir): Entries | undefined {
  const temporary: string[] = []
  const folders: string[] = []
  let onlyOurs = true
  let hasOurs = false
  const entries = opendirSync(folder.procPath('.'), { bufferSize: 128 })
  try {
    for (let count = 0; ; count++) {
      const entry = entries.readSync()
      if (entry === null) return { temporary, folders, onlyOurs, hasOurs }
      if (count === MOST_ENTRIES) return undefined
      if (isTemporaryFile(entry.name)) {
        const stat = statOf(folder, entry.name)
        if (stat?.isDirectory()) folders.push(entry.name)
        else if (stat !== undefined) temporary.push(entry.name)
        onlyOurs &&= stat?.isDirectory() !== true
        hasOurs = true
      } else if (OURS.has(entry.name)) hasOurs = true
      else onlyOurs = false
    }
  } finally {
    entries.closeSync()
  }
}

const OURS: ReadonlySet<string> = new Set([LOCK_FILE, STATE_LOCK, HISTORY_FILE, OLD_HISTORY_FILE])

function statOf(folder: Dir, name: string): Stats | undefined {
  return lstatSync(folder.procPath(name), { throwIfNoEntry: false })
}

function cannotOpen(error: unknown, id: string): Finding {
  if (!(error instanceof StateStoreError) || error.path === undefined) throw error
  const { path } = error
  if (error.code !== 'CORRUPT_STATE') return unreadable(error, id, path)
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
  const code = isLink ? 'SYMLINK' : 'NOT_A_FOLDER'
  return {
    code,
    id,
    path,
    message: `${path}: ${kindOf(code)} is where a sandbox's folder belongs`,
    repairable: isLink,
  }
}

/** What cannot be read is a fault of the file, unless it is this process that can open nothing any more. */
function unreadable(error: unknown, id: string, path: string): Finding {
  if (!(error instanceof StateStoreError) || isErrno(error.cause, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error
  return { code: 'UNREADABLE', id, path, message: error.message, repairable: false }
}

function kindOf(code: 'SYMLINK' | 'NOT_A_FILE' | 'NOT_A_FOLDER'): string {
  if (code === 'SYMLINK') return 'a symbolic link'
  return code === 'NOT_A_FILE' ? 'something that is no regular file' : 'something else'
}

function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`
}
