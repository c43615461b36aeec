import { basename } from 'node:path'
import type { LockHolder } from '../backend.js'
import { describeProcess, type Holder } from '../owner.js'
import { thisProcess } from '../process-identity.js'
import { visible } from '../state/show.js'

/** Such as `1 fault`, `2 faults`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Such as `pid 4711 (node server.js)`; the host only when it is another one. */
export function whoWords({ since: _, host = thisProcess().host, ...process }: Holder): string {
  return describeProcess(host === thisProcess().host ? process : { ...process, host })
}

export function holderWords(holder: LockHolder): string {
  return holder.lock === 'flock' ? whoWords(holder) : 'another program (proper-lockfile)'
}

/** The message about a fault, for its sandbox's row: without the path of the sandbox's folder, which the id stands for. */
export function faultWords({ id, path, message }: { id?: string; path?: string; message: string }): string {
  if (id === undefined || path === undefined || !message.startsWith(`${path}: `)) return visible(message)
  const name = basename(path)
  return visible(name === id ? message.slice(path.length + 2) : name + message.slice(path.length))
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** What a unit of time has in ms, the longest first. */
export const UNITS: ReadonlyMap<string, number> = new Map([
  ['d', DAY],
  ['h', HOUR],
  ['m', MINUTE],
  ['s', SECOND],
])

/** How long ago a time is, in one unit as listings show it: `12s`, `4m`, `3h` or `12d`. */
export function age(time: string, now: number): string {
  const ms = now - Date.parse(time)
  const [unit, size] = [...UNITS].find(([, size]) => ms >= size) ?? ['s', Number.POSITIVE_INFINITY]
  return `${Math.floor(Math.max(ms, 0) / size)}${unit}`
}

/**
 * A length of time in at most two units, such as `0.4s`, `12s`, `4m 12s`, `3h 5m` or `12d 4h`: rounded down, so that
 * nothing seems to have lasted longer than it has.
 * @param ms negative counts as zero, as after a clock was set back
 */
export function duration(ms: number): string {
  const two = (big: number, bigName: string, small: number, smallName: string) =>
    `${Math.floor(ms / big)}${bigName} ${Math.floor((ms % big) / small)}${smallName}`
  if (!(ms > 0)) return '0s'
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}s`
  if (ms < HOUR) return two(MINUTE, 'm', SECOND, 's')
  return ms < DAY ? two(HOUR, 'h', MINUTE, 'm') : two(DAY, 'd', HOUR, 'h')
}

/** Such as `12s ago`. */
export function ago(time: string, now: number): string {
  const ms = now - Date.parse(time)
  return ms < 0 ? `in ${duration(-ms)}` : `${duration(ms)} ago`
}
