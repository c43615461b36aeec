import { constants, fstatSync, lstatSync, type Stats, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ioError, reason } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { thisProcess } from '../../process-identity.js'
import { QUARANTINE } from '../layout.js'
import { chownLike, createFile } from '../posix/create-file.js'
import { closeFile, Dir } from '../posix/dir.js'
import { LOCK_EX, tryFlock, unlockAndClose } from '../posix/flock.js'
import { flush } from '../posix/flush.js'
import { openOrMakeDir } from '../sandbox-dir.js'
import { type Fault, faultAt } from './fault.js'
import type { Trust } from './trust.js'

/** The file in each entry of the quarantine that says why the others are there. */
const NOTE = 'note.json'

/** What is to be moved to the quarantine. */
export interface QuarantineRequest {
  readonly root: Dir
  readonly id: string
  /** The folder that holds it: the sandbox's, or the root. */
  readonly from: Dir
  /** Names that do not exist are skipped; the one that makes the sandbox faulty comes last. */
  readonly names: readonly string[]
  readonly faults: readonly Fault[]
  readonly trust: Trust
  readonly durable: boolean
  /** Called right before anything is moved: whether it is still faulty, and still locked. */
  readonly isStillSo: () => boolean
}

/**
 * Moves files to a new folder `<root>/.quarantine/<time>-<id>-<n>`: by rename, unchanged, links as links. The note is written
 * first, so that no entry is ever without one. Only one repair at a time moves files.
 * @returns the new folder's path; undefined when nothing was moved, as another repair is under way or the fault is gone
 * @throws StateStoreError `CORRUPT_STATE` (others can write in the quarantine) `IO_ERROR`
 */
export async function quarantine(request: QuarantineRequest): Promise<string | undefined> {
  const { root, id, from, durable } = request
  let quarantine: Dir | undefined
  let entry: Dir | undefined
  let isMoved = false
  try {
    quarantine = tryLockQuarantine(root, request.trust)
    const names = request.names.filter(name => from.exists(name))
    if (quarantine === undefined || names.length === 0) return undefined
    entry = makeEntry(quarantine, id)
    await writeNote(entry, names, request)
    if (!request.isStillSo()) return undefined
    for (const name of names) {
      from.rename(name, name, entry)
      isMoved = true
    }
    if (durable) for (const { fd } of [entry, from, quarantine, root]) await flush(fd)
    return entry.path
  } catch (error) {
    const failure = ioError(error, 'set aside', id, from.displayPath(request.names.at(-1) ?? ''))
    if (entry && isMoved) failure.message += `; what was moved before is in ${entry.path}`
    throw failure
  } finally {
    if (quarantine && entry && !isMoved) discard(quarantine, entry)
    entry?.close()
    if (quarantine !== undefined) unlockAndClose(quarantine.fd)
  }
}

export function inspectQuarantine(root: string, trust: Trust): Fault[] {
  const path = join(root, QUARANTINE)
  try {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    return stat === undefined ? [] : faultsOf(stat, path, trust)
  } catch (error) {
    return [faultAt(path, 'UNREADABLE', reason(error))]
  }
}

function faultsOf(stat: Stats, path: string, trust: Trust): Fault[] {
  const fault = (code: Fault['code'], why: string) => [faultAt(path, code, why, { remedy: 'left' })]
  if (stat.isSymbolicLink()) return fault('SYMLINK', 'a link is where the quarantine belongs')
  if (!stat.isDirectory()) return fault('NOT_A_FOLDER', 'a file is where the quarantine belongs')
  if (trust.faultyBitsOfRoot(stat) !== 0) return fault('WRONG_MODE', 'others can write in the quarantine')
  if (!trust.uids.has(stat.uid)) return fault('WRONG_OWNER', `the quarantine belongs to user ${stat.uid}`)
  return []
}

/** @returns undefined when another repair holds it, or when it was removed meanwhile */
function tryLockQuarantine(root: Dir, trust: Trust): Dir | undefined {
  const quarantine = openOrMakeDir(root.path, QUARANTINE)
  if (quarantine === undefined) return undefined
  const { fd, path } = quarantine
  let isLocked = false
  try {
    const stat = fstatSync(fd)
    const [fault] = faultsOf(stat, path, trust)
    if (fault !== undefined) throw new StateStoreError('CORRUPT_STATE', fault.message, { path })
    chownLike(fd, fstatSync(root.fd), stat) // A repair by root may have been killed before this.
    isLocked = tryFlock(fd, LOCK_EX) && root.stat(QUARANTINE)?.ino === stat.ino
    return isLocked ? quarantine : undefined
  } finally {
    if (!isLocked) unlockAndClose(fd)
  }
}

function makeEntry(quarantine: Dir, id: string): Dir {
  const prefix = `${new Date().toISOString().replace(/[-:]/g, '')}-${id}`
  let n = 1
  while (quarantine.exists(`${prefix}-${n}`)) n++
  const name = `${prefix}-${n}`
  const entry = openOrMakeDir(quarantine.procPath('.'), name)
  if (entry === undefined) throw new Error('it was removed meanwhile')
  return new Dir(name, quarantine.displayPath(name), entry.fd)
}

async function writeNote(entry: Dir, files: readonly string[], request: QuarantineRequest): Promise<void> {
  const { id, durable } = request
  const { pid, host, command } = thisProcess()
  const faults = request.faults.map(({ code, path, message }) => ({ code, path, message }))
  const note = { time: new Date().toISOString(), id, files, faults, by: { pid, host, command } }
  createFile(entry, NOTE)
  const fd = entry.open(NOTE, constants.O_WRONLY | constants.O_NOFOLLOW)
  try {
    writeFileSync(fd, `${JSON.stringify(note, undefined, 2)}\n`)
    if (durable) for (const one of [fd, entry.fd]) await flush(one)
  } finally {
    closeFile(fd)
  }
}

function discard(quarantine: Dir, entry: Dir): void {
  try {
    entry.unlinkIfFile(NOTE)
    quarantine.rmdir(entry.id)
  } catch {
    // An entry with nothing but its note does no harm.
  }
}
