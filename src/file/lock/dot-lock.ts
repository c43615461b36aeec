import { constants, fstatSync, futimesSync, lstatSync, type Stats } from 'node:fs'
import lockfile from 'proper-lockfile'
import { ioError, isErrno } from '../../errno.js'
import { STATE_FILE, STATE_LOCK } from '../layout.js'
import { closeFile, type Dir } from '../posix/dir.js'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/**
 * The mode of the lock folders that we make. No other program makes one like it: proper-lockfile asks for 0777 less
 * the umask, and no umask that one can work under takes the owner's right to write. It tells whose a lock folder is
 * from the instant it exists, whoever is killed when.
 */
const OUR_MODE = 0o500

/** Age in ms after which a stranger's lock that is no longer refreshed counts as left behind: proper-lockfile's default. */
const STALE = 10_000

/** Nobody with that package takes a lock over sooner: its shortest stale time is 2 s, and its times have a precision of 1 s. */
const SOONEST_STALE = 1_000

/** proper-lockfile's lock on a state file, held by us. */
export interface StateLock {
  /**
   * False once someone took it away.
   * @throws StateStoreError `IO_ERROR`
   */
  isHeld(): boolean
  release(): Promise<void>
}

/**
 * Takes proper-lockfile's lock on the state file, which excludes any program that uses that package. The caller
 * holds flock(2) on the sandbox, so no other of us is inside: a lock folder of ours is a dead process's, and goes.
 * A stranger's keeps its stale time.
 * @returns undefined when a stranger holds it.
 */
export async function lockState(folder: Dir): Promise<StateLock | undefined> {
  const made = new LockFolder(folder)
  let release: () => Promise<void>
  try {
    release = await lockfile.lock(folder.procPath(STATE_FILE), {
      fs: lockFs,
      realpath: false,
      retries: 0,
      stale: STALE,
      onCompromised: () => made.forget(),
    })
  } catch (error) {
    made.forget()
    if (isErrno(error, 'ELOCKED')) return undefined
    throw error
  }
  return {
    isHeld() {
      try {
        return made.isOurs()
      } catch (error) {
        throw ioError(error, 'look for', folder.id, folder.displayPath(STATE_LOCK))
      }
    },
    async release() {
      try {
        await release()
      } catch {
        // Someone took it away, or it cannot be removed now. Then the next of us removes it, and a stranger waits
        // for its stale time; the change is made either way.
      } finally {
        made.forget()
      }
    },
  }
}

/** Whether a lock folder cannot be a living holder's, told by one who knows that none of us is inside. */
export function isDead(stat: Stats): boolean {
  return isMarked(stat) || stat.mtimeMs < Date.now() - STALE
}

/**
 * Whether a stranger's lock folder bears a time to come, as after a clock was set back. Its holder may live, and
 * refresh it within seconds; if not, it is in the way until its time.
 */
export function isFromFuture(stat: Stats): boolean {
  return !isMarked(stat) && stat.mtimeMs > Date.now() + STALE
}

/** When the lock folder on a sandbox's state was last refreshed; undefined when there is none. */
export function stateLockTime(folder: Dir): Date | undefined {
  return lstatSync(folder.procPath(STATE_LOCK), { throwIfNoEntry: false })?.mtime
}

/** The same of another program's lock that is in force: neither one of ours nor one left behind. */
export function strangersLockTime(folder: Dir): Date | undefined {
  const stat = lstatSync(folder.procPath(STATE_LOCK), { throwIfNoEntry: false })
  if (stat === undefined || isMarked(stat) || Date.now() - stat.mtimeMs > STALE) return undefined
  return stat.mtime
}

function isMarked(stat: Stats): boolean {
  return stat.isDirectory() && (stat.mode & 0o777) === OUR_MODE
}

/** What proper-lockfile does to the filesystem, done so that only the folder that we made is ever ours to remove. */
class LockFolder {
  private readonly path: string
  private fd = -1
  private madeAt = 0
  /** What the folder was like when it was made, for who asks next. */
  private made: Stats | undefined

  constructor(private readonly folder: Dir) {
    this.path = folder.procPath(STATE_LOCK)
    held.set(this.path, this)
  }

  mkdir(): void {
    try {
      this.folder.mkdir(STATE_LOCK, OUR_MODE)
    } catch (error) {
      // A stranger's may be gone by now; proper-lockfile then finds so, and tries again.
      const there = lstatSync(this.path, { throwIfNoEntry: false })
      if (!isErrno(error, 'EEXIST') || there === undefined || !isMarked(there)) throw error
      this.folder.rmdir(STATE_LOCK)
      this.folder.mkdir(STATE_LOCK, OUR_MODE)
    }
    this.madeAt = performance.now()
    try {
      this.fd = this.folder.open(STATE_LOCK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    } catch (error) {
      this.folder.rmdir(STATE_LOCK)
      throw error
    }
    this.made = fstatSync(this.fd)
  }

  stat(): Stats {
    const { made } = this
    this.made = undefined
    return made ?? (this.fd === -1 ? lstatSync(this.path) : fstatSync(this.fd))
  }

  /** Removes our folder, or, while we have none, the stale one of a stranger. */
  rmdir(): void {
    if (this.fd === -1 || this.isOurs()) this.folder.rmdir(STATE_LOCK)
  }

  /** Ours only: what is at the path may be a link by now. */
  utimes(atime: Date, mtime: Date): void {
    this.made = undefined
    if (this.fd !== -1) futimesSync(this.fd, atime, mtime)
  }

  isOurs(): boolean {
    if (this.fd === -1) return false
    if (performance.now() - this.madeAt < SOONEST_STALE) return true
    const there = lstatSync(this.path, { throwIfNoEntry: false })
    const ours = fstatSync(this.fd)
    return there !== undefined && there.ino === ours.ino && there.dev === ours.dev
  }

  forget(): void {
    if (this.fd !== -1) closeFile(this.fd)
    this.fd = -1
    held.delete(this.path)
  }
}

/** By path, which holds the descriptor of a folder that stays open meanwhile, and so is nobody else's. */
const held = new Map<string, LockFolder>()

function folderAt(path: string): LockFolder {
  const folder = held.get(path)
  if (folder === undefined) throw new Error(`no lock is held or being taken at ${path}`)
  return folder
}

type Callback = (error: unknown, result?: unknown) => void

/**
 * The functions that proper-lockfile asks of its `fs` option, synchronous: on a local filesystem they take
 * microseconds, and through the thread pool the same lock takes ten times as long. One object for all locks, since
 * the package remembers on it how precise the filesystem's times are.
 */
const lockFs = {
  mkdir: (path: string, done: Callback) => settle(done, () => folderAt(path).mkdir()),
  stat: (path: string, done: Callback) => settle(done, () => folderAt(path).stat()),
  rmdir: (path: string, done: Callback) => settle(done, () => folderAt(path).rmdir()),
  utimes: (path: string, atime: Date, mtime: Date, done: Callback) =>
    settle(done, () => folderAt(path).utimes(atime, mtime)),
  // Asked for when the process exits while it holds the lock.
  rmdirSync: (path: string) => folderAt(path).rmdir(),
}

function settle(done: Callback, call: () => unknown): void {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    done(error)
    return
  }
  done(null, result)
}
