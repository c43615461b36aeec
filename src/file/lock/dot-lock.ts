import { lstatSync, lutimesSync, rmdirSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { DOT_LOCK, STATE_FILE } from '../layout.js'
import type { Dir } from '../posix/dir.js'
import { type FileStat, isDirectory } from '../posix/file-stat.js'
import { setMode } from '../posix/set-mode.js'
import { loadPrivately } from '../private-package.js'

/**
 * The mode of our dot-locks. Other programs' have another: proper-lockfile creates them with 0777 less the umask, and no
 * usable umask takes the owner's right to write. As we create one only while we hold flock(2), a process that holds it knows
 * that a dot-lock of this mode is its own, or a dead process's.
 */
const OUR_MODE = 0o500

/** Age in ms after which another program's lock that is no longer refreshed is stale: proper-lockfile's default. */
const STALE = 10_000

/** Age in ms from which our lock is refreshed before we rely on it: the package's shortest stale time is 2 s. */
const REFRESH = 1_000

/**
 * proper-lockfile's lock on a state file, `state.json.lock`, held by us. It excludes any program that uses that package
 * alone.
 */
class DotLock {
  /** @param unlock undefined where there is no lock, as no folder can be created on a full disk */
  constructor(
    private readonly dir: Dir,
    private readonly unlock?: Unlock,
  ) {}

  /**
   * Whether the lock still exists and is ours. If we or the disk stalled for seconds, another program may have taken it over
   * as stale. A lock that has become old is refreshed first, so that it does not become stale right after this check.
   * @throws StateStoreError `IO_ERROR`
   */
  isOurs(): boolean {
    const { dir, unlock } = this
    try {
      return unlock === undefined || isMarkedAndFresh(dir)
    } catch (error) {
      throw ioError(error, 'look for', dir.id, dir.displayPath(DOT_LOCK))
    }
  }

  /** Never fails: if the lock cannot be removed, the next of our processes takes it for a dead one's, and it becomes stale. */
  release(): void {
    // proper-lockfile removes nothing after it has noticed an mtime of the lock that it did not set.
    within(this.dir, () => this.unlock?.(error => error && lockFs.rmdir('', () => {})))
  }
}

/**
 * Takes the lock, if it is free or its holder is dead. The caller holds flock(2) on the sandbox.
 * @returns undefined when another program holds it, or is about to
 * @throws StateStoreError `IO_ERROR`
 */
export function tryDotLock(dir: Dir, isDeletion: boolean): DotLock | undefined {
  try {
    return new DotLock(dir, within(dir, lockWithPackage))
  } catch (error) {
    // ENOENT: another program has just removed the lock as stale.
    if (isErrno(error, 'ELOCKED', 'ENOENT')) return undefined
    if (!isDeletion || !isErrno(error, 'ENOSPC', 'EDQUOT')) {
      throw ioError(error, 'lock', dir.id, dir.displayPath(STATE_FILE))
    }
    // On a full disk a delete must work. Without a lock there, nobody else can create one either.
    return dir.exists(DOT_LOCK) ? undefined : new DotLock(dir)
  }
}

function lockWithPackage(dir: Dir): Unlock {
  let failure: unknown
  let unlock: Unlock | undefined
  // It calls back before it returns, as all functions of lockFs do.
  lockfile.lock(dir.procPath(STATE_FILE), OPTIONS, (error, given) => {
    failure = error
    unlock = given
  })
  if (unlock === undefined) throw failure
  return unlock
}

/**
 * Whether the lock has our mode. One that has become old is refreshed first, so that no other program takes it over as stale
 * between this check and the caller's next step.
 */
function isMarkedAndFresh(dir: Dir): boolean {
  const stat = dir.stat(DOT_LOCK)
  if (stat === undefined || !isMarked(stat)) return false
  if (Math.abs(Date.now() - stat.mtimeMs) < REFRESH) return true
  const now = new Date()
  try {
    lutimesSync(dir.procPath(DOT_LOCK), now, now)
  } catch (error) {
    // A lock that root's process left in a user's folder: that user can remove it, but not refresh it.
    if (!isErrno(error, 'ENOENT', 'EPERM')) throw error
  }
  const refreshed = dir.stat(DOT_LOCK)
  return refreshed !== undefined && isMarked(refreshed)
}

/** Whether a dot-lock cannot belong to a live process. The caller holds flock(2). */
export function isDead(stat: DotLockStat): boolean {
  return isMarked(stat) || stat.mtimeMs < Date.now() - STALE
}

/**
 * Whether another program's dot-lock has an mtime in the future, as after a clock was set back. Its holder may be alive
 * and refresh it within seconds; if not, it cannot become stale until then.
 */
export function isFromFuture(stat: DotLockStat): boolean {
  return !isMarked(stat) && stat.mtimeMs > Date.now() + STALE
}

function isMarked(stat: DotLockStat): boolean {
  return isDirectory(stat) && (stat.mode & 0o777) === OUR_MODE
}

type DotLockStat = Pick<FileStat, 'mode' | 'mtimeMs'>

type Unlock = (done: (error?: unknown) => void) => void

interface Lockfile {
  lock(file: string, options: object, done: (error: unknown, unlock: Unlock | undefined) => void): void
}

/** Stands in for the package retry: tries once. */
function tryOnce() {
  let failure: unknown
  const retry = (error: unknown) => {
    failure = error
    return false
  }
  return { attempt: (act: () => void) => act(), retry, mainError: () => failure }
}

let removeLocks: (() => void) | undefined

/**
 * proper-lockfile, without its functions that return promises. A private copy: the package's graceful-fs would replace
 * functions of `node:fs`, and its signal-exit would add signal handlers to the program.
 */
const lockfile = loadPrivately('proper-lockfile/lib/lockfile.js', {
  'graceful-fs': {},
  'signal-exit': (remove: () => void) => {
    removeLocks = remove
  },
  retry: { operation: tryOnce },
}) as Lockfile

/** The folder in which proper-lockfile is taking or releasing its lock. */
let current: Dir | undefined

function within<T>(dir: Dir, call: (dir: Dir) => T): T {
  if (removeLocks !== undefined) process.once('exit', removeLocks)
  removeLocks = undefined
  current = dir
  try {
    return call(dir)
  } finally {
    current = undefined
  }
}

type Done<T = void> = (error: unknown, result?: T) => void

/**
 * The `fs` of proper-lockfile, synchronous, as its calls take microseconds. The package stores on this object how precise
 * the filesystem's times are. Only the timer that refreshes the lock uses the path.
 */
const lockFs = {
  mkdir: (_path: string, done: Done) => settle(done, makeOurs),
  stat: (path: string, done: Done<{ mtime: Date }>) =>
    settle(done, () => ({ mtime: new Date(dotLockAt(path).mtimeMs) })),
  utimes: (path: string, atime: Date, mtime: Date, done: Done) =>
    settle(done, () => lutimesSync(path, atime, mtime)), // The path may lead to a link by now.
  rmdir: (path: string, done: Done) => settle(done, () => removeDead(path)),
  /** Called when a process exits that holds the lock. */
  rmdirSync: removeDead,
}

const OPTIONS = { fs: lockFs, realpath: false, stale: STALE, onCompromised: () => {} }

function makeOurs(): void {
  if (current === undefined) return
  try {
    current.mkdir(DOT_LOCK, OUR_MODE)
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !isMarkedAndFresh(current)) throw error
    current.rmdir(DOT_LOCK)
    current.mkdir(DOT_LOCK, OUR_MODE)
  }
}

/** Also corrects the mode of our new lock, if an odd umask has changed it. */
function dotLockAt(path: string): DotLockStat {
  const stat = current === undefined ? lstatSync(path) : current.stat(DOT_LOCK)
  if (stat === undefined) throw Object.assign(new Error('there is no lock'), { code: 'ENOENT' })
  if (current !== undefined && isDirectory(stat) && (stat.mode & 0o700) < OUR_MODE) {
    setMode(current.procPath(DOT_LOCK), OUR_MODE)
  }
  return stat
}

/** Checks right before: no system call removes a folder only if it is still the same one. */
function removeDead(path: string): void {
  const isOurs = current !== undefined && isMarkedAndFresh(current)
  if (!isOurs && !isDead(dotLockAt(path))) {
    throw Object.assign(new Error('another program has taken the lock over'), { code: 'ELOCKED' })
  }
  if (current === undefined) rmdirSync(path)
  else current.rmdir(DOT_LOCK)
}

function settle<T>(done: Done<T>, call: () => T): void {
  let result: T
  try {
    result = call()
  } catch (error) {
    done(error)
    return
  }
  done(null, result)
}
