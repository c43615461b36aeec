import { fchmodSync, mkdirSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ChangeRequest } from '../backend.js'
import { alreadyExists } from '../change.js'
import { ioError, isErrno } from '../errno.js'
import { isUnreadable, StateStoreError } from '../errors.js'
import { FOLDER_MODE, PERSIST_FILE, STATE_FILE } from './layout.js'
import { chownLike } from './posix/create-file.js'
import { Dir } from './posix/dir.js'
import { setMode } from './posix/set-mode.js'
import { assertDir } from './root-dir.js'
import { readStateFile, type StateFile } from './state-file.js'

/**
 * Opens a folder below another, and makes it if there is none.
 * @returns undefined when somebody removed it meanwhile
 * @throws StateStoreError `CORRUPT_STATE` when it is a symbolic link or no folder, `IO_ERROR`
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
 * Under a umask that takes rights from the owner, a new folder gets its mode before it can be opened. One that is not new
 * was made under such a umask, or by root for a user, and its maker was killed: it is empty and can be removed.
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

/** Mode 0700 whatever the umask; and the root folder's owner, as far as that can be given. */
function giveToOwner({ fd, id, path }: Dir, root: string): void {
  try {
    fchmodSync(fd, FOLDER_MODE)
    chownLike(fd, statSync(root))
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EINVAL')) throw ioError(error, 'make', id, path)
  }
}

/**
 * What is there before a change. A forced deletion does not need to be able to read it.
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

/** @throws StateStoreError `ALREADY_EXISTS` when a sandbox lives in this folder, ours or one of another program */
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
