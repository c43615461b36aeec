import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const RESOLUTION = 1

/**
 * How late the event loop was while a function ran. Each sample includes the interval of the timer, which is subtracted.
 * The timer also runs before and after the function, and so sees a stall at its start or end.
 * @returns p99 and the longest, in ms
 */
export async function loopDelay(run) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
  histogram.enable()
  await sleep(3) // A reset here would lose the first sample, the only one of a run that never lets the loop turn.
  await run()
  await sleep(3)
  histogram.disable()
  const inMs = nanoseconds => Math.max(0, nanoseconds / 1e6 - RESOLUTION)
  return { p99: inMs(histogram.percentile(99)), longest: inMs(histogram.max) }
}
