import { dirname } from 'node:path'
import type { LockHolder, Owner } from '../backend.js'
import type { Change } from '../change.js'
import { StateStoreError, withSubject } from '../errors.js'
import { assertOrphanOf } from '../owner.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { flushDir, flushParent, makeRoot } from './flush.js'
import { appendHistory, removeHistory } from './history.js'
import { LOCK_FILE, STATE_FILE } from './layout.js'
import { tryDotLock } from './lock/dot-lock.js'
import { readOwner, releaseOrphan, removeOwner } from './lock/owner.js'
import { SandboxLock } from './lock/sandbox-lock.js'
import { Dir } from './posix/dir.js'
import { isInMemory } from './posix/filesystem.js'
import { writeReplacement } from './replace.js'
import { assertFree, openOrMakeDir, readCurrent, removeDir, removeState } from './sandbox-dir.js'
import { versionOf } from './state-file.js'

/** How to make a change, apart from its rules. It can be sent to another thread. */
export interface Request {
  readonly kind: Change['kind']
  /** For a deletion: also if the state cannot be read. */
  readonly force: boolean
  /** For the history. */
  readonly reason: string | undefined
  /** Only if the sandbox is still an orphan of this owner, which it then no longer is. */
  readonly ifOrphanOf: Owner | undefined
  /** Whether to flush what was written. */
  readonly durable: boolean
  readonly history: boolean
  /** Whether to check that locks exclude others in this root. */
  readonly testLock: boolean
  /** For a create: whether to flush the folders above the root, too, even if it exists. */
  readonly flushRoot: boolean
  /** How long to retry the lock without a pause, in ms: see `LockWait`. */
  readonly spin: number
}

/** The outcome of one attempt at a change. */
export type Attempt =
  | { readonly kind: 'committed' }
  /** There is no such sandbox, or its folder was deleted meanwhile. */
  | { readonly kind: 'missing' }
  /** Another process holds this lock. */
  | { readonly kind: 'blocked'; readonly by: LockHolder['lock'] }
  /** The locks were lost on the way, because the process or the disk stalled for seconds. */
  | { readonly kind: 'lost' }

/**
 * A change under way. It yields each descriptor that must be flushed before it goes on, and `WAITING` where it waits for
 * something else: `commit-pool.ts` and `commit-thread.ts` drive it.
 */
export type Steps<Result> = Generator<number | typeof WAITING, Result, void>

export const WAITING = 'waiting'

/** The rules of a change: given the state and its revision, they return the next state, undefined for a deletion, or throw. */
export type Rules = (
  current: SandboxState | undefined,
  revision: string | undefined,
) => Steps<SandboxState | undefined>

/** Takes flock(2) and makes the change, if both locks are free. Makes all system calls itself, except the flushes. */
export function* attempt(root: string, id: string, request: Request, rules: Rules): Steps<Attempt> {
  const { kind, durable, flushRoot, spin } = request
  const isCreate = kind === 'create'
  if (isCreate) yield* makeRoot(root, id, durable, flushRoot)
  const dir = isCreate ? openOrMakeDir(root, id) : Dir.open(root, id)
  if (dir === undefined) return { kind: 'missing' }
  let lock: SandboxLock | undefined
  try {
    if (isCreate) assertFree(dir)
    else if (!dir.exists(STATE_FILE)) return { kind: 'missing' }
    lock = SandboxLock.tryAcquire(dir, spin)
    const wasChangedByUs = lock === undefined ? dir.exists(LOCK_FILE) : lock.wasHeldByUs
    // A state that we have never changed may be another program's, in whose folder nothing is created.
    if (!isCreate && !wasChangedByUs && readCurrent(dir, request) === undefined) return { kind: 'missing' }
    if (lock === undefined && !wasChangedByUs) lock = SandboxLock.tryAcquireMaking(dir, kind === 'delete')
    if (lock === undefined) return { kind: 'blocked', by: 'flock' }
    if (request.testLock) assertLockable(lock, kind)
    return yield* commit(lock, request, rules)
  } finally {
    lock?.release()
    dir.close()
  }
}

/** THE change. The caller holds flock(2) on the sandbox. */
function* commit(lock: SandboxLock, request: Request, rules: Rules): Steps<Attempt> {
  const { dir } = lock
  const { kind, ifOrphanOf, reason } = request
  const durable = request.durable && !isInMemory(dir.fd)
  // Keeps out programs that use proper-lockfile alone.
  const dotLock = tryDotLock(dir, kind === 'delete')
  if (dotLock === undefined) return { kind: 'blocked', by: 'proper-lockfile' }
  const areOurs = () => dotLock.isOurs() && lock.isCurrent()
  let exists = true
  try {
    // Read before a byte is written: it may be another program's sandbox.
    const current = readCurrent(dir, request)
    exists = current !== undefined
    if (exists || kind === 'create') lock.writeHolder()
    const before = current === 'unreadable' ? undefined : current
    if (ifOrphanOf !== undefined) assertOrphanOf(dir.id, readOwner(dir), ifOrphanOf)
    const revision = before && versionOf(before.stat)
    const next = current === 'unreadable' ? undefined : yield* rules(before?.state, revision)

    let fileAfter = ''
    if (next === undefined) {
      if (!areOurs()) return LOST
      removeState(dir)
    } else {
      // Before the state, so that a state is never found in a folder whose own name a power cut may take.
      if (durable && before === undefined) yield* flushParent(dir)
      const text = withSubject(`sandbox ${dir.id}`, { id: dir.id }, () => encodeState(next))
      const replacement = writeReplacement(dir, text, before?.stat, lock.dirStat)
      try {
        // Before the rename, so that the name never leads to content that is not on the disk.
        if (durable) yield* replacement.flush()
        if (before === undefined) removeOwner(dir) // It belongs to an earlier sandbox of this id.
        // The last check before the rename, as the rules and the flushes may take long.
        if (!areOurs()) return LOST
        replacement.commit()
        fileAfter = replacement.version
      } finally {
        replacement.close()
      }
    }
    exists = next !== undefined
    if (durable) yield* flushDir(dir) // The new name, or its removal, is on the disk.

    // The change is made. What follows cannot fail it.
    if (ifOrphanOf !== undefined) releaseOrphan(dir)
    if (before === undefined) removeHistory(dir) // It belongs to an earlier sandbox of this id.
    if (request.history && next !== undefined) appendHistory(dir, { before, after: next, reason, fileAfter })
    return { kind: 'committed' }
  } finally {
    dotLock.release()
    if (!exists) removeDir(lock)
  }
}

const LOST: Attempt = { kind: 'lost' }

/** @throws StateStoreError `UNSUPPORTED` where flock(2) does nothing, `IO_ERROR` */
function assertLockable(lock: SandboxLock, kind: Request['kind']): void {
  if (lock.excludesOthers()) return
  if (kind === 'create') removeDir(lock)
  const { id, path } = lock.dir
  const root = dirname(path)
  const message = `flock(2) excludes nobody in ${root}: the root needs a local filesystem, or etcd`
  throw new StateStoreError('UNSUPPORTED', message, { id, path: root })
}
