import { readdirSync } from 'node:fs'
import type { Owner } from '../backend.js'
import { ioError, isErrno } from '../errno.js'
import { isUnreadable, StateStoreError } from '../errors.js'
import { isValidId } from '../sandbox-id.js'
import { STATE_FILE } from './layout.js'
import { describeHolder, findHolder } from './lock/holder.js'
import { readOwner } from './lock/owner.js'
import { openLockToRead } from './lock/sandbox-lock.js'
import { pause } from './lock/wait.js'
import { Dir } from './posix/dir.js'
import { isRegularFile } from './posix/file-stat.js'
import { LOCK_SH, tryFlock, unlockAndClose } from './posix/flock.js'
import { assertDir } from './root-dir.js'
import { readStateFile, type StateFile } from './state-file.js'

/** How long a reader waits for a program that writes in place, as Kata does, in ms. */
const LONGEST = 200
/** A file that was written this recently, in ms, may be half written even if nobody holds the lock. */
const FRESH = 100

/**
 * Reads a sandbox's state. Takes no lock and creates nothing: a state file is replaced as a whole. Only Kata writes in
 * place, usually under its exclusive lock; so a file that cannot be decoded is read again under a shared one.
 * @returns undefined when there is no such sandbox
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`, `IO_ERROR`
 */
export async function readSandbox(
  root: string,
  id: string,
  withOwner = false,
): Promise<(StateFile & { readonly owner?: Owner | undefined }) | undefined> {
  const dir = Dir.open(root, id)
  if (dir === undefined) return undefined
  try {
    let file: StateFile | undefined
    try {
      file = readStateFile(dir)
    } catch (error) {
      if (!isUnreadable(error)) throw error
      file = await readAgain(dir)
    }
    return file && withOwner ? { ...file, owner: readOwner(dir) } : file
  } finally {
    dir.close()
  }
}

/**
 * Retries a file that could not be decoded, until it can be, or until it was read under a shared flock(2), as Kata's
 * readers take it. Then that is the result, unless the file is fresh: Kata's shim for containerd writes without the lock. If
 * the lock does not become free in time, the error names its holder, which may be writing.
 */
async function readAgain(dir: Dir): Promise<StateFile | undefined> {
  const deadline = performance.now() + LONGEST
  for (let attempt = 0; ; attempt++) {
    const result = readUnderSharedLock(dir)
    if ('file' in result) return result.file
    const { error, isBusy } = result
    if (!isBusy && !isFresh(dir)) throw error
    const left = deadline - performance.now()
    if (left <= 0) throw isBusy ? besideHolder(error, dir) : error
    await pause(attempt, left)
  }
}

type Reading =
  | { readonly file: StateFile | undefined }
  /** It could not be decoded; `isBusy` if somebody holds the lock. */
  | { readonly error: StateStoreError; readonly isBusy: boolean }

/** @throws StateStoreError `IO_ERROR` */
function readUnderSharedLock(dir: Dir): Reading {
  let fd: number | undefined
  let isBusy = false
  try {
    fd = openLockToRead(dir)
    isBusy = !tryFlock(fd, LOCK_SH)
  } catch {
    // A lock that cannot be taken at all, as when there is no lock file, is not needed.
  }
  try {
    return { file: readStateFile(dir) }
  } catch (error) {
    if (!isUnreadable(error)) throw error
    return { error, isBusy }
  } finally {
    if (fd !== undefined) unlockAndClose(fd)
  }
}

function isFresh(dir: Dir): boolean {
  try {
    const stat = dir.stat(STATE_FILE)
    return stat !== undefined && isRegularFile(stat) && Date.now() - stat.mtimeMs < FRESH
  } catch {
    return false // What was read is the result.
  }
}

function besideHolder(error: StateStoreError, dir: Dir): StateStoreError {
  const holder = describeHolder(findHolder(dir, 'flock'))
  const message = `${error.message} (it may be half written: it is locked by ${holder})`
  const { code, id, path, cause } = error
  return new StateStoreError(code, message, { id, path, cause })
}

/**
 * The ids below a root, sorted: the names of folders and links that are valid ids. Empty if the root does not exist.
 * @throws StateStoreError `IO_ERROR`
 */
export function listIds(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter(entry => (entry.isDirectory() || entry.isSymbolicLink()) && isValidId(entry.name))
      .map(entry => entry.name)
      .sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    assertDir(root, undefined, error)
    throw ioError(error, 'list', undefined, root)
  }
}
