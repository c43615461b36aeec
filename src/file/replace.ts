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
 * Writes the next state file under a temporary name, with write-file-atomic.
 * @param before the file that it replaces, if any: its owner stays the same, so that root locks nobody out
 * @param folder the sandbox's, whose owner gets the first state file
 * @throws StateStoreError `IO_ERROR`, and the temporary file is removed
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

function replaceError(dir: Dir, error: unknown): Error {
  return ioError(error, 'replace', dir.id, dir.displayPath(STATE_FILE))
}

/** The next state file, under its temporary name. */
class Replacement {
  private fd = -1
  /** Differs after each replacement of the state file. */
  version = ''
  private isCommitted = false

  constructor(
    private readonly dir: Dir,
    private readonly owner: FileStat,
    /** When the file that it replaces was written, in ms since 1970. */
    private readonly before: number | undefined,
  ) {}

  /** A file that already has the name is a dead process's, as we hold the locks, or was planted: it is removed. */
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

  /** False for a first file: it may follow one that was just deleted, and have the same inode. */
  private isLater({ mtimeMs }: FileStat): boolean {
    return this.before !== undefined && mtimeMs > this.before
  }

  /**
   * Inode and time are the revision, so they must differ between any two states of a sandbox. A filesystem's clock ticks
   * only some 250 times a second, and may be set back; then each time is one step after the previous one.
   */
  private stampTime(): FileStat {
    const now = Date.now() + (performance.now() % 1) // The system's clock, with fractions of a millisecond.
    const time = Math.max(now, (this.before ?? 0) + SHORTEST_STEP) / 1000
    futimesSync(this.fd, time, time)
    return statFd(this.fd)
  }

  /** Yields the descriptor to flush. @throws StateStoreError `IO_ERROR` */
  *flush(): Generator<number, void, void> {
    try {
      yield this.fd
    } catch (error) {
      throw replaceError(this.dir, error)
    }
  }

  /** Replaces the state file, rename(2). @throws StateStoreError `IO_ERROR` */
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
      // The next change removes it.
    }
  }
}

/** The file that write-file-atomic is writing: nothing else runs in this thread meanwhile. */
let current: Replacement

/**
 * The `fs` of write-file-atomic. By itself the package gives its temporary file a predictable name, opens it even if it
 * exists, ignores short writes, and sets owner and mode by path; here it writes to a new file in a folder that is held
 * open. It renames at once; here the rename waits until the file is on the disk and the locks are known to be still ours.
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

/** The package's temporary name is not used, so its SHA-1 is not computed. */
const noHash = { update: () => noHash, digest: () => Buffer.alloc(4) }

/** A private copy, which works on atomicFs and adds no signal handlers to the program. */
const writeFileAtomic = loadPrivately('write-file-atomic', {
  fs: atomicFs,
  'node:crypto': { createHash: () => noHash },
  'signal-exit': { onExit: () => () => {} },
}) as typeof import('write-file-atomic')
