import { setTimeout as sleep } from 'node:timers/promises'

const SHORTEST = 1
const LONGEST = 12

/**
 * Waits before the next attempt at a lock: at first about 1 ms, then longer, at most 12 ms, so that a lock whose
 * holder was killed is entered within a fraction of the promised 50 ms. The part left to chance keeps waiters from
 * marching in step.
 * @param attempt counted from 0
 * @param left ms until the deadline; no wait ends much later
 */
export async function pause(attempt: number, left: number): Promise<void> {
  const step = Math.min(SHORTEST * 2 ** Math.min(attempt >> 1, 6), LONGEST)
  await sleep(Math.min(step * (0.5 + Math.random() / 2), Math.max(left, 0)))
}
