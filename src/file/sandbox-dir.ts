import { fchmodSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ChangeRequest } from '../backend.js'
import { alreadyExists } from '../change.js'
import { ioError, isErrno } from '../errno.js'
import { isUnreadable, StateStoreError } from '../errors.js'
import { removeHistory } from './history.js'
import {
  COMPANION_FILES,
  FOLDER_MODE,
  LOCK_FILE,
  OWNER_FILE,
  PERSIST_FILE,
  STATE_FILE,
  TEMPORARY_FILE,
} from './layout.js'
import { removeOwner } from './lock/owner.js'
import type { SandboxLock } from './lock/sandbox-lock.js'
import { chownLike } from './posix/create-file.js'
import { Dir } from './posix/dir.js'
import { setMode } from './posix/set-mode.js'
import { assertDir } from './root-dir.js'
import { readStateFile, type StateFile } from './state-file.js'

/**
 * Opens a folder below another, and makes it if it does not exist.
 * @returns undefined when it was removed meanwhile
 * @throws StateStoreError `CORRUPT_STATE` when it is a symbolic link or not a folder, `IO_ERROR`
 */
export function openOrMakeDir(root: string, id: string): Dir | undefined {
  const isNew = makeDir(root, id)
  const dir = openOrRemove(root, id, isNew)
  if (dir === undefined) return undefined
  try {
    if (isNew) giveToOwner(dir, root)
    return dir
  } catch (error) {
    dir.close()
    throw error
  }
}

function makeDir(root: string, id: string): boolean {
  const path = join(root, id)
  try {
    mkdirSync(path, { mode: FOLDER_MODE })
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    assertDir(root, id, error)
    throw ioError(error, 'make', id, path)
  }
}

/**
 * Opens a folder. Under a umask that takes rights from the owner, a new one needs its mode first. An older one that cannot be
 * opened was made under such a umask, or by root for a user, by a process that was killed: it is removed if it is empty.
 */
function openOrRemove(root: string, id: string, isNew: boolean): Dir | undefined {
  try {
    return Dir.open(root, id)
  } catch (error) {
    if (!(error instanceof StateStoreError) || !isErrno(error.cause, 'EACCES')) throw error
    try {
      if (isNew) setMode(join(root, id), FOLDER_MODE)
      else rmdirSync(join(root, id))
    } catch {
      throw error
    }
    return isNew ? Dir.open(root, id) : undefined
  }
}

/** Sets mode 0700 whatever the umask, and the root folder's owner if possible. */
function giveToOwner({ fd, id, path }: Dir, root: string): void {
  try {
    fchmodSync(fd, FOLDER_MODE)
    chownLike(fd, statSync(root))
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EINVAL')) throw ioError(error, 'make', id, path)
  }
}

/**
 * Reads the state before a change. A forced deletion works also if it cannot be read.
 * @returns undefined when there is no sandbox
 * @throws StateStoreError `ALREADY_EXISTS` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR`
 */
export function readCurrent(
  dir: Dir,
  { kind, force }: Pick<ChangeRequest, 'kind' | 'force'>,
): StateFile | 'unreadable' | undefined {
  if (kind === 'create') {
    assertFree(dir)
    return undefined
  }
  try {
    return readStateFile(dir)
  } catch (error) {
    if (kind === 'delete' && force && isUnreadable(error)) return 'unreadable'
    throw error
  }
}

/** @throws StateStoreError `ALREADY_EXISTS` when this folder holds a sandbox, ours or another program's */
export function assertFree(dir: Dir): void {
  if (!dir.exists(STATE_FILE) && !dir.exists(PERSIST_FILE)) return
  throw alreadyExists(dir.id, isForeign(dir))
}

function isForeign(dir: Dir): boolean {
  try {
    return readStateFile(dir) === undefined
  } catch {
    return false
  }
}

/** Deletes the state, and with it the sandbox, whatever remains of its folder. @throws StateStoreError `IO_ERROR` */
export function removeState(dir: Dir): void {
  try {
    dir.unlink(STATE_FILE)
  } catch (error) {
    throw ioError(error, 'delete', dir.id, dir.displayPath(STATE_FILE))
  }
}

/**
 * Removes the folder of a sandbox that was deleted or never completed, unless it holds files of other programs. The caller
 * holds flock(2) on the lock file, which goes last: a process that waits for it then sees that it is no longer the lock.
 */
export function removeDir(lock: SandboxLock): void {
  const { dir } = lock
  try {
    if (!lock.isCurrent()) return
    const names = readdirSync(dir.procPath('.'))
    if (names.includes(STATE_FILE)) return
    removeHistory(dir)
    if (names.includes(OWNER_FILE)) removeOwner(dir)
    if (names.some(name => !COMPANION_FILES.has(name))) return
    dir.unlinkIfFile(TEMPORARY_FILE)
    dir.unlinkIfFile(LOCK_FILE)
    rmdirSync(dir.path)
  } catch {
    // The rest counts as an unfinished create: it is no sandbox, and does not prevent one.
  }
}
