import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The delay before another attempt, in ms: at most `first`, doubled up to `max`. It is random, so that many clients do
 * not come back at the same moment. Attempts count from 0.
 */
export function retryDelay(attempt: number, first = 50, max = 1_000): number {
  return Math.min(first * 2 ** attempt, max) * Math.random()
}

/**
 * Waits some ms, or until the signal is aborted.
 * @param ref whether that keeps the process from ending
 */
export async function pause(ms: number, signal?: AbortSignal, ref = true): Promise<void> {
  await sleep(ms, undefined, { signal, ref }).catch(() => {})
}
