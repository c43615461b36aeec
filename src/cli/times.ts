const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/**
 * A length of time in at most two units, such as `0.4s`, `12s`, `4m 12s`, `3h 5m` or `12d 4h`: rounded down, so that
 * nothing seems to have lasted longer than it has.
 * @param ms negative counts as none, as after a clock was set back
 */
export function duration(ms: number): string {
  if (!(ms > 0)) return '0s'
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`
  if (ms < HOUR) return two(ms, MINUTE, 'm', SECOND, 's')
  if (ms < DAY) return two(ms, HOUR, 'h', MINUTE, 'm')
  return two(ms, DAY, 'd', HOUR, 'h')
}

/** Such as `12s ago`. */
export function ago(time: string, now: number): string {
  const ms = now - Date.parse(time)
  return ms < 0 ? `in ${duration(-ms)}` : `${duration(ms)} ago`
}

/** A time of ISO 8601 without its fraction of a second. */
export function second(time: string): string {
  return time.replace(/\.\d+/, '')
}

function two(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  return `${Math.floor(ms / big)}${bigName} ${Math.floor((ms % big) / small)}${smallName}`
}
