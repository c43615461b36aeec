import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

const RESOLUTION = 1

/**
 * How late the event loop was while a function ran. Each sample contains the interval at which the timer fires, which
 * is taken off; a stall at the start or the end is seen too, since the timer runs before and after.
 * @returns p99 and the longest, in ms
 */
export async function loopDelay(run) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION })
  histogram.enable()
  await sleep(3) // A reset here would lose the first sample, which is the one of a run that never lets the loop turn.
  await run()
  await sleep(3)
  histogram.disable()
  const inMs = nanoseconds => Math.max(0, nanoseconds / 1e6 - RESOLUTION)
  return { p99: inMs(histogram.percentile(99)), longest: inMs(histogram.max) }
}
