import { uptime } from 'node:os'

/**
 * A time in ms, on a clock that nobody sets and that counts while the machine is suspended. On Linux Node's own clock, which
 * is CLOCK_MONOTONIC, does not: that would prolong a lease. The uptime is CLOCK_BOOTTIME.
 */
export function clock(): number {
  return process.platform === 'linux' ? uptime() * 1000 : performance.now()
}
