import { closeSync, constants, openSync, readdirSync, rmdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { LockHolder, Owner } from '../backend.js'
import type { Change } from '../change.js'
import { ioError, reason } from '../errno.js'
import { StateStoreError, withSubject } from '../errors.js'
import { assertOrphanOf } from '../owner.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { appendHistory, removeHistory } from './history.js'
import {
  HISTORY_FILE,
  LOCK_FILE,
  OLD_HISTORY_FILE,
  OWNER_FILE,
  STATE_FILE,
  TEMPORARY_FILE,
} from './layout.js'
import { tryDotLock } from './lock/dot-lock.js'
import { readOwner, releaseOrphan, removeOwner } from './lock/owner.js'
import { SandboxLock } from './lock/sandbox-lock.js'
import { Dir } from './posix/dir.js'
import { statFd } from './posix/file-stat.js'
import { isInMemory } from './posix/filesystem.js'
import { replaceError, writeReplacement } from './replace.js'
import { ancestorsToFlush, assertDir, makeRootDir } from './root-dir.js'
import { assertFree, openOrMakeDir, readCurrent } from './sandbox-dir.js'
import { versionOf } from './state-file.js'

/** What a change needs to know, apart from its rules. */
export interface Request {
  readonly kind: Change['kind']
  /** For a deletion: whether the state need not be readable. */
  readonly force: boolean
  /** For the history. */
  readonly reason: string | undefined
  readonly ifOrphanOf: Owner | undefined
  /** Whether to flush what was written. */
  readonly durable: boolean
  readonly history: boolean
  /** Whether it is still to be shown that locks exclude others in this root. */
  readonly testLock: boolean
  /** For a create: whether the way to the root must be flushed, too. */
  readonly flushRoot: boolean
  /** How long to try over and over to get the lock, in ms: see `LockWait`. */
  readonly spin: number
}

/** What came of one attempt at a change. */
export type Attempt =
  | { readonly kind: 'committed' }
  /** There is no such sandbox, or its folder went away. */
  | { readonly kind: 'missing' }
  /** Another holds this lock. */
  | { readonly kind: 'blocked'; readonly by: LockHolder['lock'] }
  /** The locks were lost on the way, because the process or the disk stood still for long. */
  | { readonly kind: 'lost' }

/**
 * A change under way. It yields a descriptor wherever that must be flushed before it goes on, and `WAITING` where it
 * waits for something else: how that is done is its driver's business.
 */
export type Steps<Result> = Generator<number | typeof WAITING, Result, void>

export const WAITING = 'waiting'

/** The rules of a change: given the state and its revision, they return the next state, undefined for a deletion, or throw. */
export type Rules = (
  current: SandboxState | undefined,
  revision: string | undefined,
) => Steps<SandboxState | undefined>

/** Takes flock(2) and makes the change, if both locks are free. All system calls but the flushes are made right here. */
export function* attempt(root: string, id: string, request: Request, rules: Rules): Steps<Attempt> {
  const isCreate = request.kind === 'create'
  if (isCreate) yield* makeRoot(root, id, request)
  const dir = isCreate ? openOrMakeDir(root, id) : Dir.open(root, id)
  if (dir === undefined) return { kind: 'missing' }
  let lock: SandboxLock | undefined
  try {
    if (isCreate) assertFree(dir)
    else if (!dir.exists(STATE_FILE)) return { kind: 'missing' }
    lock = SandboxLock.tryAcquire(dir, request.spin)
    const wasChangedByUs = lock === undefined ? dir.exists(LOCK_FILE) : lock.wasHeldByUs
    // A state that was put there by other means may be another program's, in whose folder nothing is made.
    if (!isCreate && !wasChangedByUs && readCurrent(dir, request) === undefined) return { kind: 'missing' }
    if (lock === undefined && !wasChangedByUs) {
      lock = SandboxLock.tryAcquireMaking(dir, request.kind === 'delete')
    }
    if (lock === undefined) return { kind: 'blocked', by: 'flock' }
    if (request.testLock) assertLockable(lock, request)
    return yield* commit(lock, request, rules)
  } finally {
    lock?.release()
    dir.close()
  }
}

/** @throws StateStoreError `UNSUPPORTED` where flock(2) does nothing, `IO_ERROR` */
function assertLockable(lock: SandboxLock, { kind }: Request): void {
  if (lock.excludesOthers()) return
  if (kind === 'create') removeDir(lock)
  const { id, path } = lock.dir
  const root = dirname(path)
  const message = `flock(2) excludes nobody in ${root}: the root needs a local filesystem, or etcd`
  throw new StateStoreError('UNSUPPORTED', message, { id, path: root })
}

/** THE change. The caller holds flock(2) on the sandbox. */
function* commit(lock: SandboxLock, request: Request, rules: Rules): Steps<Attempt> {
  const { dir } = lock
  const durable = request.durable && !isInMemory(dir.fd)
  const dotLock = tryDotLock(dir, request.kind === 'delete')
  if (dotLock === undefined) return { kind: 'blocked', by: 'proper-lockfile' }
  let exists = true
  const areOurs = () => dotLock.isOurs() && lock.isCurrent()
  try {
    const current = readCurrent(dir, request) // Before a byte is written: it may be another program's sandbox.
    exists = current !== undefined
    if (exists || request.kind === 'create') lock.writeHolder()
    const before = current === 'unreadable' ? undefined : current
    const fileBefore = before && versionOf(before.stat)
    if (request.ifOrphanOf !== undefined) assertOrphanOf(dir.id, readOwner(dir), request.ifOrphanOf)
    const next = current === 'unreadable' ? undefined : yield* rules(before?.state, fileBefore)
    let fileAfter = ''
    if (next === undefined) {
      if (!areOurs()) return LOST
      removeState(dir)
    } else {
      if (durable && before === undefined) yield* flushParent(dir)
      const text = withSubject(`sandbox ${dir.id}`, { id: dir.id }, () => encodeState(next))
      const replacement = writeReplacement(dir, text, before?.stat, lock.dirStat)
      try {
        if (durable) yield* flushContent(dir, replacement.fd) // The content is on the disk,
        if (before === undefined) removeOwner(dir)
        if (!areOurs()) return LOST // asked after all that may take long,
        replacement.commit()
        fileAfter = replacement.version
      } finally {
        replacement.close()
      }
    }
    exists = next !== undefined
    if (durable) yield* flushDir(dir) // and now its name is.
    if (request.ifOrphanOf !== undefined) releaseOrphan(dir)
    if (before === undefined) removeHistory(dir) // It would be of an earlier sandbox.
    if (request.history && next !== undefined) {
      const { reason } = request
      appendHistory(dir, { before, after: next, reason, fileAfter })
    }
    return { kind: 'committed' }
  } finally {
    dotLock.release()
    if (!exists) removeDir(lock)
  }
}

const LOST: Attempt = { kind: 'lost' }

/** A root that is new must itself survive a power cut; one that is there may be as new, its maker killed. */
function* makeRoot(root: string, id: string, { durable, flushRoot }: Request): Steps<void> {
  try {
    const isNew = makeRootDir(root)
    if (durable && (isNew || flushRoot)) yield* ancestorsToFlush(root)
  } catch (error) {
    assertDir(root, id, error)
    throw ioError(error, 'make', id, root)
  }
}

function* flushContent(dir: Dir, fd: number): Steps<void> {
  try {
    yield fd
  } catch (error) {
    throw replaceError(dir, error)
  }
}

/**
 * A new folder is a name in the root, which needs a flush as much as a name in the folder. It comes before the state:
 * who finds one there need not ask whether the folder's name is on the disk, even if its maker was killed.
 */
function* flushParent(dir: Dir): Steps<void> {
  const root = dirname(dir.path)
  try {
    const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      yield fd
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw ioError(error, 'flush', dir.id, root)
  }
}

/** @throws StateStoreError `OUTCOME_UNKNOWN`: the change is in place, but a power cut may undo it */
function* flushDir({ fd, id, path }: Dir): Steps<void> {
  try {
    yield fd
    statFd(fd) // XFS that has shut itself down says that folders are flushed, but not what they are.
  } catch (error) {
    const message = `${path} was changed, but the disk did not confirm it: ${reason(error)}`
    throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
  }
}

/** The state goes first: from then on there is no sandbox, whatever is left of its folder. */
function removeState(dir: Dir): void {
  try {
    dir.unlink(STATE_FILE)
  } catch (error) {
    throw ioError(error, 'delete', dir.id, dir.displayPath(STATE_FILE))
  }
}

const OURS: ReadonlySet<string> = new Set([
  ...[LOCK_FILE, OWNER_FILE, HISTORY_FILE, OLD_HISTORY_FILE, TEMPORARY_FILE],
])

/**
 * Removes the folder of a sandbox that was deleted or never came to be, unless it holds something of others. The
 * caller holds flock(2) on the lock file, which goes last: who waits for it then finds that it is no longer the lock.
 */
export function removeDir(lock: SandboxLock): void {
  const { dir } = lock
  try {
    if (!lock.isCurrent()) return
    const names = readdirSync(dir.procPath('.'))
    if (names.includes(STATE_FILE)) return
    removeHistory(dir)
    if (names.includes(OWNER_FILE)) removeOwner(dir)
    if (names.some(name => !OURS.has(name))) return
    dir.unlinkIfFile(TEMPORARY_FILE)
    dir.unlinkIfFile(LOCK_FILE)
    rmdirSync(dir.path)
  } catch {
    // What is left is an unfinished create: no sandbox, and no obstacle to one.
  }
}
