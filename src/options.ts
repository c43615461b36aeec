import { show } from './state/show.js'

/**
 * Refuses options that are not an object, or that do not exist: a misspelt one would be ignored silently.
 * @throws TypeError
 */
export function assertOptions(given: unknown, ...names: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`the options must be an object, not ${show(given)}`)
  }
  const stray = Object.keys(given).find(name => !names.includes(name))
  if (stray !== undefined) throw new TypeError(`there is no option ${show(stray)}`)
}

/** @throws TypeError */
export function flag(name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, not ${show(value)}`)
  return value
}

/** @throws TypeError */
export function assertProgress(value: unknown): void {
  if (value === undefined || typeof value === 'function') return
  throw new TypeError(`onProgress must be a function, not ${show(value)}`)
}

/** Checks what it can do rather than its class: a test environment such as jsdom has its own. @throws TypeError */
export function assertSignal(value: unknown): void {
  if (value === undefined) return
  const isSignal =
    typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
  if (!isSignal) throw new TypeError(`signal must be an AbortSignal, not ${show(value)}`)
}
