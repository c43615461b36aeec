import { setTimeout as sleep } from 'node:timers/promises'

/** How long a process may keep re-acquiring a contended lock before it backs off, in ms. */
const LONGEST_STREAK = 5

/** How long it then backs off, in ms: waiters retry every few ms, so one of them gets the lock. */
const REST = 2

/** How many sandboxes are tracked. The waiters of one that is dropped wait a little longer. */
const MOST = 1000

/**
 * The sandboxes that this process had to wait for, by path, each with the time when it got the lock. A process that has just
 * released a lock is awake and takes it again while the others sleep; without a rest they would hardly ever get it.
 */
const contendedSince = new Map<string, number>()

/**
 * Backs off if this process has held a contended sandbox for long enough.
 * @param left the time that remains to wait for locks, in ms
 */
export function yieldIfHogging(path: string, left: number): Promise<void> | undefined {
  const since = contendedSince.get(path)
  if (since === undefined || performance.now() - since < LONGEST_STREAK || left < REST) return undefined
  contendedSince.delete(path)
  return sleep(REST)
}

/** Records that a sandbox's lock was taken after a wait. */
export function recordContention(path: string): void {
  if (contendedSince.size >= MOST) contendedSince.clear()
  contendedSince.set(path, performance.now())
}
