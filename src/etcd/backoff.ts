import { setTimeout as sleep } from 'node:timers/promises'

const SHORTEST = 50
const LONGEST = 1_000

/**
 * How long to wait before a request is made again, in ms: from 50 ms doubled up to a second, half of it left to
 * chance, so that many clients do not come back at once.
 * @param attempt counted from 0
 */
export function retryDelay(attempt: number): number {
  return Math.min(SHORTEST * 2 ** Math.min(attempt, 10), LONGEST) * (0.5 + Math.random() / 2)
}

/** About as long as a change takes, in ms. */
const STEP = 2
const WIDEST = 32

/**
 * Waits after a change was overtaken by others. Whoever was overtaken often waits less, and so is not overtaken for ever.
 * @param attempt counted from 0
 */
export async function yieldToOthers(attempt: number): Promise<void> {
  const widest = attempt < 4 ? STEP * 2 ** attempt : WIDEST / (attempt - 2)
  await sleep(Math.random() * widest)
}
