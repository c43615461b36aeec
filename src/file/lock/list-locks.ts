import type { HeldLock, LockHolder } from '../../backend.js'
import { LOCK_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { isRegularFile } from '../posix/file-stat.js'
import { LOCK_EX, tryFlock, unlockAndClose } from '../posix/flock.js'
import { listIds } from '../read.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'
import { foreignLockTime } from './dot-lock.js'
import { findHolder } from './holder.js'
import { type KernelLock, kernelLocks, mayHaveOpen, seesAllKernelLocks } from './kernel-locks.js'
import { openLockToRead } from './sandbox-lock.js'

/**
 * Every lock that is held now on a sandbox below a root, by us, Kata, flock(1) or a program with proper-lockfile,
 * sorted by id; a sandbox can be locked in both ways at once. Makes and changes nothing, and keeps nobody out: the
 * kernel lists who holds what. Where it does not, a lock is tried for some microseconds.
 * @param id only this sandbox's, which need not exist
 * @throws StateStoreError `IO_ERROR` when the root cannot be read
 */
export async function* listLocks(root: string, id?: string): AsyncGenerator<HeldLock, void, undefined> {
  let held = heldInodes()
  for (const one of id === undefined ? listIds(root) : [id]) {
    for (const holder of holdersOf(root, one, held)) yield { id: one, holder }
    if (!sliceExpired()) continue
    await yieldToEventLoop()
    held = heldInodes()
  }
}

/** The locks that are held, as the kernel lists them, by inode. */
function heldInodes(): ReadonlyMap<string, KernelLock> {
  const held = kernelLocks().filter(({ isWaiter }) => !isWaiter)
  return new Map(held.map(lock => [lock.inode, lock]))
}

/** What cannot be opened or looked at, a listing of states tells. */
function holdersOf(root: string, id: string, held: ReadonlyMap<string, KernelLock>): LockHolder[] {
  let dir: Dir | undefined
  try {
    dir = Dir.open(root, id)
    if (dir === undefined) return []
    const holders = isFlocked(dir, held) ? [findHolder(dir, 'flock')] : []
    const refreshed = foreignLockTime(dir)
    return refreshed === undefined
      ? holders
      : [...holders, { lock: 'proper-lockfile', since: refreshed.toISOString() }]
  } catch {
    return []
  } finally {
    dir?.close()
  }
}

function isFlocked(dir: Dir, held: ReadonlyMap<string, KernelLock>): boolean {
  const stat = dir.stat(LOCK_FILE)
  if (stat === undefined || !isRegularFile(stat)) return false
  const lock = held.get(String(stat.ino))
  if (lock !== undefined) return mayHaveOpen(lock.pid, stat)
  return !seesAllKernelLocks() && isFlockedByOthers(dir)
}

/** Asks the lock itself, which holds it for a moment if it is free. */
function isFlockedByOthers(dir: Dir): boolean {
  const fd = openLockToRead(dir)
  try {
    return !tryFlock(fd, LOCK_EX)
  } finally {
    unlockAndClose(fd)
  }
}
