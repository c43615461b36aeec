import { setTimeout as sleep } from 'node:timers/promises'

/** How long a process may keep re-acquiring a contended lock before it backs off, in ms. */
const LONGEST_STREAK = 5

/** How long it then leaves the lock alone, in ms: several waiters ask every few ms, so one of them comes soon. */
const REST = 2

/** How many sandboxes are remembered. One that is forgotten costs its waiters a little. */
const MOST = 1000

/**
 * The sandboxes that this process had to wait for, by path, each with when it got the lock. A process that has just
 * released a lock is awake and takes it again, while the others sleep; without a rest they would hardly ever find it free.
 */
const contendedSince = new Map<string, number>()

/**
 * Lets others in if this process has had its share of a contended sandbox.
 * @param left what is left of the time to wait for locks, in ms
 */
export function yieldIfHogging(path: string, left: number): Promise<void> | undefined {
  const since = contendedSince.get(path)
  if (since === undefined || performance.now() - since < LONGEST_STREAK || left < REST) return undefined
  contendedSince.delete(path)
  return sleep(REST)
}

/** A sandbox's lock was taken after a wait for it. */
export function recordContention(path: string): void {
  if (contendedSince.size >= MOST) contendedSince.clear()
  contendedSince.set(path, performance.now())
}
