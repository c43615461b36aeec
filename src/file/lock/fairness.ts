import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Patience } from './sandbox-lock.js'

/** For so long, in ms, a process makes one change after another of a sandbox that others wait for; then it lets one of them in. */
const LONGEST_STREAK = 5

/** So long it leaves the lock alone, in ms. Of several who wait, each asks every few ms, one soon comes. */
const REST = 2

/** Of sandboxes that are not changed again, so many are remembered at most: to forget one costs a rest that is not taken. */
const MOST = 1000

/**
 * The sandboxes for which this process had to wait, each with when it came in. Whoever has just released a lock is
 * awake to take it again, while those who wait for it sleep; without a rest now and then they would hardly ever find it free.
 */
const cameIn = new Map<string, number>()

/** Lets others in if this process has had its share of a sandbox that others want, too. */
export async function rest(root: string, id: string, { deadline }: Patience): Promise<void> {
  if (cameIn.size === 0) return
  const path = join(root, id)
  const since = cameIn.get(path)
  const now = performance.now()
  if (since === undefined || now - since < LONGEST_STREAK || deadline - now < REST) return
  cameIn.delete(path)
  await sleep(REST)
}

/** A sandbox's lock was taken after a wait for it. */
export function noteWait(path: string): void {
  if (cameIn.size >= MOST) cameIn.clear()
  cameIn.set(path, performance.now())
}
