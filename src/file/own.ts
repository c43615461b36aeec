import { constants } from 'node:fs'
import type { Ownership, OwnOptions } from '../backend.js'
import { notFound } from '../change.js'
import { ioError, isErrno } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { OWNER_FILE } from './layout.js'
import { type Locked, withBothLocks } from './lock/both-locks.js'
import { markReleased, RECORD_SIZE, writeHolderRecord } from './lock/holder-record.js'
import { ownedByOther } from './lock/owner.js'
import { openLockToRead } from './lock/sandbox-lock.js'
import { FileOwnership, type OwnerFile } from './ownership.js'
import { createFile } from './posix/create-file.js'
import type { Dir } from './posix/dir.js'
import { overwriteStart, readAt } from './posix/file-io.js'
import { isRegularFile, isSameFile, statFd } from './posix/file-stat.js'
import { isInMemory } from './posix/filesystem.js'
import { LOCK_EX, LOCK_SH, tryFlock, unlockAndClose } from './posix/flock.js'
import { flush } from './posix/flush.js'
import { notRegular } from './posix/regular-file.js'
import { readSandbox } from './read.js'
import { readStateFile } from './state-file.js'
import { untilUnowned } from './until-unowned.js'

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants

export interface FileOwnOptions extends OwnOptions {
  readonly lockTimeout: number
  readonly durable: boolean
}

/**
 * Takes ownership of a sandbox: flock(2) on its `owner` file, held from now on; with `wait`, once its present owner is
 * gone.
 * @throws StateStoreError `OWNED` (without `wait`) `NOT_FOUND` `CORRUPT_STATE` `INVALID_STATE` `LOCK_TIMEOUT` `UNSUPPORTED` `IO_ERROR`
 */
export async function own(root: string, id: string, options: FileOwnOptions): Promise<Ownership> {
  const { lockTimeout, durable } = options
  for (;;) {
    // Read before anything is created: it may be another program's sandbox.
    if ((await readSandbox(root, id)) === undefined) throw notFound(id)
    try {
      const file = await withBothLocks(root, id, options, locked => take(locked, durable))
      return new FileOwnership(root, id, file, { lockTimeout, durable })
    } catch (error) {
      const isOwned = error instanceof StateStoreError && error.code === 'OWNED'
      if (!isOwned || options.wait !== true) throw error
    }
    await untilUnowned(root, id, options.signal)
  }
}

/** @returns undefined to try again: a reader is looking up the owner just now, or our locks were lost */
async function take({ dir, areOurs }: Locked, durable: boolean): Promise<OwnerFile | undefined> {
  const { id } = dir
  const path = dir.displayPath(OWNER_FILE)
  if (readStateFile(dir) === undefined) throw notFound(id) // Deleted while we waited for the locks.
  let fd: number | undefined
  let isTaken = false
  try {
    createFile(dir, OWNER_FILE)
    fd = dir.openTracked(OWNER_FILE, O_RDWR | O_NOFOLLOW | O_NONBLOCK) // A planted link is not followed, a FIFO does not hang us.
    const stat = statFd(fd)
    if (!isRegularFile(stat)) throw notRegular(dir, OWNER_FILE)
    if (stat.nlink > 1) throw hasOtherName(id, path) // The record would be written into that other file.
    // Readers hold a shared lock for a moment, only an owner holds an exclusive one.
    if (!tryFlock(fd, LOCK_SH)) throw ownedByOther(id, fd)
    if (!tryFlock(fd, LOCK_EX)) return undefined
    if (!isSameFile(dir.stat(OWNER_FILE), stat)) return undefined // A lock on a file that was replaced excludes nobody.
    if (!excludesOthers(dir)) throw excludesNobody(id, path) // As on some network filesystems.
    if (!areOurs()) return undefined
    await recordOwner(dir, fd, durable)
    isTaken = true
    return { fd, stat }
  } catch (error) {
    if (isErrno(error, 'ELOOP', 'EISDIR', 'ENXIO')) throw notRegular(dir, OWNER_FILE, error)
    throw ioError(error, 'lock', id, path)
  } finally {
    if (!isTaken && fd !== undefined) unlockAndClose(fd)
  }
}

/**
 * Records in the file who the owner is, and flushes it: after a power cut the sandbox is an orphan. If that fails, the
 * record is as before: an earlier orphan remains one.
 * @throws the system's error
 */
async function recordOwner(dir: Dir, fd: number, durable: boolean): Promise<void> {
  const before = Buffer.alloc(RECORD_SIZE)
  const hadRecord = readAt(fd, before, 0) === RECORD_SIZE
  try {
    writeHolderRecord(fd)
    if (durable && !isInMemory(fd)) await Promise.all([flush(fd), flush(dir.fd)])
  } catch (error) {
    try {
      if (hadRecord) overwriteStart(fd, before)
      else markReleased(fd)
    } catch {
      // The first error is the one to report.
    }
    throw error
  }
}

/** Whether our exclusive lock keeps others out. @throws the system's error */
function excludesOthers(dir: Dir): boolean {
  const fd = openLockToRead(dir, OWNER_FILE)
  try {
    return !tryFlock(fd, LOCK_SH)
  } finally {
    unlockAndClose(fd)
  }
}

function hasOtherName(id: string, path: string): StateStoreError {
  const message = `${path} has another name elsewhere, so it may be another program's file`
  return new StateStoreError('CORRUPT_STATE', message, { id, path })
}

function excludesNobody(id: string, path: string): StateStoreError {
  const message = `flock(2) excludes nobody on ${path}: an owner needs a local filesystem`
  return new StateStoreError('UNSUPPORTED', message, { id, path })
}
