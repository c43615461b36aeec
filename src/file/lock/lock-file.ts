import { constants, fstatSync, openSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { FILE_MODE, LOCK_FILE } from '../layout.js'
import { letOwnerIn } from '../new-file.js'
import type { Dir } from '../posix/dir.js'
import { notRegular } from '../posix/regular-file.js'

// Node itself opens the lock file, and not openat(2): it closes what it opened when a worker thread that made a change is
// ended in the midst of it, and with the file goes the lock.

const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants

/** A `lock` file that is open. */
export interface LockFile {
  readonly fd: number
  /** Whether it has another name elsewhere: it may then be another's file, linked here, and is locked but not written. */
  readonly isLinked: boolean
}

/**
 * Opens a sandbox's `lock` file to hold it.
 * @param make whether to make one that is missing
 * @returns undefined when there is none
 * @throws StateStoreError `CORRUPT_STATE` when it is a link or no regular file, `IO_ERROR`
 */
export function openLockFile(folder: Dir, make: boolean): number | undefined {
  try {
    return openSync(
      folder.procPath(LOCK_FILE),
      O_RDWR | O_NOFOLLOW | O_NONBLOCK | (make ? O_CREAT : 0),
      FILE_MODE,
    )
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'EISDIR', 'ENXIO')) throw notRegular(folder, LOCK_FILE, error)
    throw ioError(error, 'open', folder.id, folder.displayPath(LOCK_FILE))
  }
}

/**
 * What was locked, if it is still the lock. A sandbox may be deleted, and made again, while one waits: the lock then
 * held is on a file that has no name any more, and that nobody else sees.
 * @throws StateStoreError `CORRUPT_STATE` when it is no regular file
 */
export function theLock(folder: Dir, fd: number): LockFile | undefined {
  const stat = fstatSync(fd)
  if (!stat.isFile()) throw notRegular(folder, LOCK_FILE)
  if (stat.size === 0 && stat.nlink === 1) letOwnerIn(fd, stat, folder)
  return stat.nlink === 0 ? undefined : { fd, isLinked: stat.nlink > 1 }
}

/**
 * Opens a `lock` file to see whether it is held, and by whom; makes none.
 * @throws the system's error
 */
export function openLockToRead(folder: Dir): number {
  return openSync(folder.procPath(LOCK_FILE), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}
