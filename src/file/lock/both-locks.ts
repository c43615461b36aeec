import { notFound } from '../../change.js'
import { LOCK_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { tryDotLock } from './dot-lock.js'
import { SandboxLock } from './sandbox-lock.js'
import { inTurn } from './turn.js'
import type { LockOptions } from './wait.js'

/** A sandbox's folder, with both of its locks held. */
export interface Locked {
  readonly dir: Dir
  /** Whether they still are held by us: see `commit.ts`. */
  readonly areOurs: () => boolean
}

/**
 * Acts on a sandbox under both of its locks, as a change does, once they are free.
 * @param act returns undefined to be tried again
 * @throws StateStoreError `NOT_FOUND` when there is no folder, `LOCK_TIMEOUT` `CORRUPT_STATE` `IO_ERROR`, and what `act` throws
 */
export async function withBothLocks<T>(
  root: string,
  id: string,
  options: LockOptions,
  act: (locked: Locked) => Promise<T | undefined>,
): Promise<T> {
  return inTurn(`${root}/${id}`, id, options, async wait => {
    for (;;) {
      const attempt = await tryWithBothLocks(root, id, wait.spin, act)
      if ('result' in attempt) return attempt.result
      await wait.backOff(attempt.blockedBy)
    }
  })
}

async function tryWithBothLocks<T>(
  root: string,
  id: string,
  spin: number,
  act: (locked: Locked) => Promise<T | undefined>,
): Promise<{ result: T } | { blockedBy: 'flock' | 'proper-lockfile' }> {
  const dir = Dir.open(root, id)
  if (dir === undefined) throw notFound(id)
  let lock: SandboxLock | undefined
  try {
    lock = dir.exists(LOCK_FILE)
      ? SandboxLock.tryAcquire(dir, spin)
      : SandboxLock.tryAcquireMaking(dir, false)
    if (lock === undefined) return { blockedBy: 'flock' }
    const held = lock
    const dotLock = tryDotLock(dir, true)
    if (dotLock === undefined) return { blockedBy: 'proper-lockfile' }
    try {
      held.writeHolder()
      const result = await act({ dir, areOurs: () => dotLock.isOurs() && held.isCurrent() })
      return result === undefined ? { blockedBy: 'flock' } : { result }
    } finally {
      dotLock.release()
    }
  } finally {
    lock?.release()
    dir.close()
  }
}
