import { constants } from 'node:fs'
import type { Owner } from '../../backend.js'
import { ioError, isErrno } from '../../errno.js'
import type { StateStoreError } from '../../errors.js'
import { alreadyOwned, processOf } from '../../owner.js'
import { isAlive } from '../../process-identity.js'
import { OWNER_FILE } from '../layout.js'
import type { Dir } from '../posix/dir.js'
import { isRegularFile, statFd } from '../posix/file-stat.js'
import { LOCK_SH, tryFlock, unlockAndClose } from '../posix/flock.js'
import { notRegular, withRegularFile } from '../posix/regular-file.js'
import { markReleased, readHolderRecord } from './holder-record.js'
import { openLockToRead } from './sandbox-lock.js'

/**
 * The process that owns a sandbox, or owned it when it died; undefined when it is unowned. The kernel decides: the ownership
 * has ended when flock(2) on the file is free, and then the record in the file says whether it was released. A shared lock is
 * tried for some microseconds, which only keeps out a process that is just becoming the owner, and that retries. A child
 * process has a copy of its parent's descriptors until it calls exec: for that moment a sandbox whose owner is dead is still
 * owned.
 * @throws StateStoreError `CORRUPT_STATE` when the file is a link or not a regular file, `IO_ERROR`
 */
export function readOwner(dir: Dir): Owner | undefined {
  return dir.exists(OWNER_FILE) ? withOwnerFile(dir, ownerOf) : undefined
}

/** As {@link readOwner}, for an open `owner` file, which the caller unlocks. @throws the system's error */
function ownerOf(fd: number): Owner | undefined {
  // Read while the shared lock is held: nobody becomes the owner meanwhile.
  const isHeld = !tryFlock(fd, LOCK_SH)
  const record = readHolderRecord(fd)
  if (record?.held === true) return { state: isHeld ? 'owned' : 'orphaned', ...processOf(record) }
  return isHeld ? { state: 'owned' } : undefined
}

function withOwnerFile<T>(dir: Dir, use: (fd: number) => T): T | undefined {
  let fd: number | undefined
  try {
    fd = openLockToRead(dir, OWNER_FILE)
    if (isRegularFile(statFd(fd))) return use(fd)
    throw notRegular(dir, OWNER_FILE)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'ENXIO')) throw notRegular(dir, OWNER_FILE, error)
    throw ioError(error, 'read', dir.id, dir.displayPath(OWNER_FILE))
  } finally {
    if (fd !== undefined) unlockAndClose(fd)
  }
}

/** The error for a sandbox that another process owns; its `owner` file is open. @throws the system's error */
export function ownedByOther(id: string, fd: number): StateStoreError {
  const record = readHolderRecord(fd)
  if (record?.held !== true) return alreadyOwned(id, {})
  return alreadyOwned(id, processOf(record), isAlive(record) === false)
}

/** Records that an orphan was released. A failure leaves a stopped orphan, which does no harm. */
export function releaseOrphan(dir: Dir): void {
  try {
    withRegularFile(dir, OWNER_FILE, ({ fd, stat }) => stat.nlink === 1 && markReleased(fd), constants.O_RDWR)
  } catch {
    // See above.
  }
}

/** For a sandbox that is being created or deleted: it has no owner. @throws StateStoreError `IO_ERROR` */
export function removeOwner(dir: Dir): void {
  try {
    dir.unlinkIfFile(OWNER_FILE)
  } catch (error) {
    throw ioError(error, 'remove', dir.id, dir.displayPath(OWNER_FILE))
  }
}
