import { setTimeout as sleep } from 'node:timers/promises'

const SHORTEST = 1
const LONGEST = 12

/** After so many attempts, about 0.2 s, a waiter asks more often than those who came later, every so many ms. */
const OLD = 24
const OLD_STEP = 4

/**
 * Waits before the next attempt at a lock: at first about 1 ms, then longer, at most 12 ms, so that a lock whose
 * holder was killed is entered within a fraction of the promised 50 ms; after a long wait less again, so that who came
 * first comes in first, more or less. The part left to chance keeps waiters from marching in step.
 * @param attempt counted from 0
 * @param left ms until the deadline; no wait ends much later
 */
export async function pause(attempt: number, left: number): Promise<void> {
  const step = attempt < OLD ? Math.min(SHORTEST * 2 ** (attempt >> 1), LONGEST) : OLD_STEP
  await sleep(Math.min(step * (0.5 + Math.random() / 2), Math.max(left, 0)))
}
