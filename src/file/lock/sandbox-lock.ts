import { constants, openSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { LOCK_FILE } from '../layout.js'
import { createFile } from '../posix/create-file.js'
import type { Dir } from '../posix/dir.js'
import { type FileStat, isRegularFile, isSameFile, statFd } from '../posix/file-stat.js'
import { LOCK_EX, tryFlock, unlockAndClose } from '../posix/flock.js'
import { notRegular } from '../posix/regular-file.js'
import { markReleased, RECORD_SIZE, writeHolderRecord } from './holder-record.js'

const { O_RDONLY, O_RDWR, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants

/** The name of the folder in itself. */
const ITSELF = '.'

/** flock(2), held exclusively on the `lock` file of a sandbox. */
export class SandboxLock {
  private hasRecord = false

  private constructor(
    readonly dir: Dir,
    private readonly fd: number,
    /** The name of the locked file in that folder, or {@link ITSELF}. */
    private readonly name: string,
    private readonly stat: FileStat,
    /** The folder's. */
    readonly dirStat: FileStat,
  ) {}

  /**
   * Tries to lock the sandbox whose folder is open.
   * @param spin how long to retry without a pause, in ms; 0 tries once
   * @returns undefined when another process holds the lock, when there is no lock file, or when the path leads to another
   * folder or lock file by now
   * @throws StateStoreError `CORRUPT_STATE` when the lock file is a link or not a regular file, `IO_ERROR`
   */
  static tryAcquire(dir: Dir, spin: number): SandboxLock | undefined {
    return SandboxLock.tryOn(dir, LOCK_FILE, spin)
  }

  /**
   * Creates the missing lock file, and tries to lock the sandbox. A deletion must also work on a full disk, where no file can
   * be created: it then holds the lock on the folder instead. Every creator of a lock file locks the folder meanwhile, so
   * nobody can create one then.
   * @returns undefined as {@link tryAcquire}, and when another process has locked or removed the folder
   * @throws StateStoreError as {@link tryAcquire}
   */
  static tryAcquireMaking(dir: Dir, isDeletion: boolean): SandboxLock | undefined {
    const onFolder = SandboxLock.tryOn(dir, ITSELF, 0)
    if (onFolder === undefined) return undefined
    let isNeeded = false
    try {
      createFile(dir, LOCK_FILE)
    } catch (error) {
      if (!onFolder.isCurrent()) return undefined // A deletion has just removed the folder: ENOENT, on ext4 EPERM.
      isNeeded = isDeletion && isErrno(error, 'ENOSPC', 'EDQUOT')
      if (!isNeeded) throw ioError(error, 'make', dir.id, dir.displayPath(LOCK_FILE))
    } finally {
      if (!isNeeded) onFolder.release()
    }
    return isNeeded ? onFolder : SandboxLock.tryAcquire(dir, 0)
  }

  private static tryOn(dir: Dir, name: string, spin: number): SandboxLock | undefined {
    const fd = openToLock(dir, name)
    if (fd === undefined) return undefined
    let lock: SandboxLock | undefined
    try {
      const stat = statFd(fd)
      if (name === LOCK_FILE && !isRegularFile(stat)) throw notRegular(dir, LOCK_FILE)
      const candidate = new SandboxLock(dir, fd, name, stat, statFd(dir.fd))
      if (flockWithin(fd, spin) && candidate.isCurrent()) lock = candidate
      return lock
    } catch (error) {
      throw ioError(error, 'lock', dir.id, dir.displayPath(LOCK_FILE))
    } finally {
      if (lock === undefined) unlockAndClose(fd)
    }
  }

  /**
   * Checks that the locked file is still the one at the sandbox's path. Otherwise the lock excludes nobody: Kata, for one,
   * removes the folder while it holds the lock.
   * @throws StateStoreError `IO_ERROR`
   */
  isCurrent(): boolean {
    const { dir, dirStat, stat } = this
    try {
      return isSameFile(dir.statItself(), dirStat) && isSameFile(dir.stat(this.name), stat)
    } catch (error) {
      throw ioError(error, 'look for', dir.id, dir.displayPath(LOCK_FILE))
    }
  }

  /** Whether the lock file has the record of one of our processes. Others, Kata among them, leave it empty. */
  get wasHeldByUs(): boolean {
    return this.stat.size === RECORD_SIZE
  }

  /**
   * Whether others cannot take the lock now: on some FUSE and network filesystems flock(2) does nothing.
   * @throws StateStoreError `IO_ERROR`
   */
  excludesOthers(): boolean {
    const { dir, name, stat } = this
    const fd = openToLock(dir, name)
    if (fd === undefined) return true // It is no longer the lock, which is checked later.
    try {
      return !isSameFile(statFd(fd), stat) || !tryFlock(fd, LOCK_EX)
    } catch (error) {
      throw ioError(error, 'lock', dir.id, dir.displayPath(LOCK_FILE))
    } finally {
      unlockAndClose(fd)
    }
  }

  /** Records the holder in the lock file, unless that has another name elsewhere, and so may be another program's file. */
  writeHolder(): void {
    this.hasRecord = this.name === LOCK_FILE && this.stat.nlink === 1
    if (this.hasRecord) this.updateRecord(writeHolderRecord)
  }

  release(): void {
    if (this.hasRecord) this.updateRecord(markReleased)
    unlockAndClose(this.fd)
  }

  /** Never fails: the record is for people, and the lock is held without it. */
  private updateRecord(write: (fd: number) => void): void {
    try {
      write(this.fd)
    } catch {
      // See above.
    }
  }
}

function flockWithin(fd: number, spin: number): boolean {
  const end = performance.now() + spin
  do {
    if (tryFlock(fd, LOCK_EX)) return true
  } while (performance.now() < end)
  return false
}

function openToLock(dir: Dir, name: string): number | undefined {
  const flags = name === LOCK_FILE ? O_RDWR | O_NOFOLLOW | O_NONBLOCK : O_RDONLY | O_DIRECTORY
  try {
    return dir.openTracked(name, flags)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'EISDIR', 'ENXIO')) throw notRegular(dir, LOCK_FILE, error)
    throw ioError(error, 'open', dir.id, dir.displayPath(LOCK_FILE))
  }
}

/**
 * Opens a `lock` or `owner` file to see whether it is held, and by whom.
 * @throws the system's error
 */
export function openLockToRead(dir: Dir, name = LOCK_FILE): number {
  return openSync(dir.procPath(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}
