import { constants, fchmodSync, futimesSync } from 'node:fs'
import { ioError, isErrno } from '../errno.js'
import { FILE_MODE, STATE_FILE, TEMPORARY_FILE } from './layout.js'
import { chownLike } from './posix/create-file.js'
import { closeFile, type Dir } from './posix/dir.js'
import { writeAll } from './posix/file-io.js'
import { type FileStat, statFd } from './posix/file-stat.js'
import { loadPrivately } from './private-package.js'
import { versionOf } from './state-file.js'

const { O_WRONLY, O_CREAT, O_EXCL } = constants

/** The shortest step, in ms, that survives rounding: times are passed in seconds, as doubles with 53 bits. */
const SHORTEST_STEP = 0.002

/**
 * Writes the next state file beside the present one, with the help of write-file-atomic.
 * @param before the one that it replaces, if any: its owner stays the same, so that root locks nobody out
 * @param folder the sandbox's; its owner gets the first state file
 * @throws StateStoreError `IO_ERROR`; nothing is left then
 */
export function writeReplacement(
  dir: Dir,
  text: string,
  before: FileStat | undefined,
  folder: FileStat,
): Replacement {
  const owner = before ?? folder
  const replacement = new Replacement(dir, owner, before?.mtimeMs)
  current = replacement
  try {
    writeFileAtomic.sync(STATE_FILE, text, { mode: FILE_MODE, chown: owner, fsync: false })
    return replacement
  } catch (error) {
    replacement.close()
    throw replaceError(dir, error)
  }
}

export function replaceError(dir: Dir, error: unknown): Error {
  return ioError(error, 'replace', dir.id, dir.displayPath(STATE_FILE))
}

/** The next state file, written under a temporary name; it is not flushed yet. */
class Replacement {
  /** To be flushed. */
  fd = -1
  /** Differs after each replacement of the state file. */
  version = ''
  private isCommitted = false

  constructor(
    private readonly dir: Dir,
    private readonly owner: FileStat,
    /** When the one that it replaces was written, in ms since 1970. */
    private readonly before: number | undefined,
  ) {}

  /** A file that has the name already was left by a dead process, since we hold the locks, or was planted. */
  open(): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL
    try {
      this.fd = this.dir.open(TEMPORARY_FILE, flags, FILE_MODE)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
      this.dir.unlink(TEMPORARY_FILE)
      this.fd = this.dir.open(TEMPORARY_FILE, flags, FILE_MODE)
    }
    return this.fd
  }

  /** Writes all of the text, and sets owner and mode whatever the umask. */
  write(text: string): void {
    writeAll(this.fd, Buffer.from(text))
    const stat = statFd(this.fd)
    chownLike(this.fd, this.owner, stat)
    if ((stat.mode & 0o7777) !== FILE_MODE) fchmodSync(this.fd, FILE_MODE)
    this.version = versionOf(this.isLater(stat) ? stat : this.stampTime())
  }

  /** A first file may follow one that was deleted a moment ago, and have its inode. */
  private isLater({ mtimeMs }: FileStat): boolean {
    return this.before !== undefined && mtimeMs > this.before
  }

  /**
   * Inode and time are the revision, so that no two states of a sandbox may have the same. A filesystem's clock ticks only some
   * 250 times a second, and may be set back; then each time is a step after the one before.
   */
  private stampTime(): FileStat {
    const now = Date.now() + (performance.now() % 1) // By the system's clock, finer than its milliseconds.
    const time = Math.max(now, (this.before ?? 0) + SHORTEST_STEP) / 1000
    futimesSync(this.fd, time, time)
    return statFd(this.fd)
  }

  /** Puts it in the place of the state file, rename(2). @throws StateStoreError `IO_ERROR` */
  commit(): void {
    try {
      this.dir.rename(TEMPORARY_FILE, STATE_FILE)
      this.isCommitted = true
    } catch (error) {
      throw replaceError(this.dir, error)
    }
  }

  /** Closes it, and removes it unless it was committed. */
  close(): void {
    if (this.fd === -1) return
    closeFile(this.fd)
    this.fd = -1
    if (this.isCommitted) return
    try {
      this.dir.unlink(TEMPORARY_FILE)
    } catch {
      // The next change takes it away.
    }
  }
}

/** The file that write-file-atomic is at work on: nothing else runs in this thread meanwhile. */
let current: Replacement

/**
 * The `fs` of write-file-atomic. The package names its temporary file by a name that can be foretold, opens it whatever
 * is there, ignores how much of its text was written, and sets owner and mode by name; here it writes into a file of a
 * folder that is held open. It renames at once; here that waits until the file is on the disk and the locks are known
 * to be still ours.
 */
const atomicFs = {
  realpathSync: (path: string) => path,
  openSync: () => current.open(),
  writeSync: (_fd: number, text: string) => current.write(text),
  closeSync: () => {},
  chownSync: () => {},
  chmodSync: () => {},
  renameSync: () => {},
  unlinkSync: () => {},
}

/** Its name for a temporary file is not used, and costs a SHA-1. */
const noHash = { update: () => noHash, digest: () => Buffer.alloc(4) }

/** A copy of our own, which works on atomicFs and adds no handlers for the signals of the program. */
const writeFileAtomic = loadPrivately('write-file-atomic', {
  fs: atomicFs,
  'node:crypto': { createHash: () => noHash },
  'signal-exit': { onExit: () => () => {} },
}) as typeof import('write-file-atomic')
