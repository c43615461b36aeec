import type { HeldLock, LockHolder } from '../../backend.js'
import { LOCK_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { isRegularFile } from '../posix/file-stat.js'
import { LOCK_EX, tryFlock, unlockAndClose } from '../posix/flock.js'
import { listIds } from '../read.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'
import { findHolder, foreignHolder } from './holder.js'
import { type KernelLocks, kernelHolder, kernelLocks, seesAllKernelLocks } from './kernel-locks.js'
import { openLockToRead } from './sandbox-lock.js'

/**
 * Every lock that is held now on a sandbox below a root, by us, Kata, flock(1) or a program with proper-lockfile,
 * sorted by id; a sandbox can be locked in both ways at once. Creates and changes nothing, and keeps nobody out: the kernel
 * lists the holders. Where it does not, each lock is tried for some microseconds.
 * @param ids only these sandboxes', which need not exist; all by default
 * @throws StateStoreError `IO_ERROR` when the root cannot be read
 */
export async function* listLocks(
  root: string,
  ids: readonly string[] = listIds(root),
): AsyncGenerator<HeldLock, void, undefined> {
  const seesAll = seesAllKernelLocks()
  let locks = kernelLocks()
  for (const id of ids) {
    for (const holder of holdersOf(root, id, locks, seesAll)) yield { id, holder }
    if (!sliceExpired()) continue
    await yieldToEventLoop()
    locks = kernelLocks()
  }
}

/** The holders of a sandbox's locks; empty if it cannot be opened, which `list` reports. */
function holdersOf(root: string, id: string, locks: KernelLocks, seesAll: boolean): LockHolder[] {
  let dir: Dir | undefined
  try {
    dir = Dir.open(root, id)
    if (dir === undefined) return []
    const flock = isFlocked(dir, locks, seesAll) ? findHolder(dir, 'flock') : undefined
    return [flock, foreignHolder(dir)].filter(holder => holder !== undefined)
  } catch {
    return []
  } finally {
    dir?.close()
  }
}

function isFlocked(dir: Dir, locks: KernelLocks, seesAll: boolean): boolean {
  const stat = dir.stat(LOCK_FILE)
  if (stat === undefined || !isRegularFile(stat)) return false
  return kernelHolder(stat, locks) !== undefined || (!seesAll && isFlockedByOthers(dir))
}

/** Tries the lock itself, and so holds it for a moment if it is free. */
function isFlockedByOthers(dir: Dir): boolean {
  const fd = openLockToRead(dir)
  try {
    return !tryFlock(fd, LOCK_EX)
  } finally {
    unlockAndClose(fd)
  }
}
