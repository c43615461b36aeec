import { setTimeout as sleep } from 'node:timers/promises'
import { onAbort } from '../abort.js'

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

/** Waits so many ms, or until one of the signals is aborted. */
export async function pause(ms: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let takeBack: readonly ((() => void) | undefined)[] = []
  await new Promise<void>(wake => {
    timer = setTimeout(wake, ms)
    takeBack = signals.map(signal => signal && onAbort(signal, wake))
  })
  clearTimeout(timer)
  for (const back of takeBack) back?.()
}

const WIDEST = 48

/**
 * Waits after a change was overtaken by others: at first up to 4 ms, about as long as a change takes, then up to
 * twice as long each time, and 48 ms at the most. All of it is left to chance, so that one of many is alone.
 * @param attempt counted from 0
 */
export async function yieldToOthers(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(4 * 2 ** Math.min(attempt, 10), WIDEST))
}
