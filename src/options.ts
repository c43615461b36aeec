import { show } from './state/show.js'

/**
 * Refuses what is no object of options, and an option that does not exist: a misspelt one would be passed over in silence.
 * @throws TypeError
 */
export function assertOptions(given: unknown, ...names: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`the options must be an object, not ${show(given)}`)
  }
  const stray = Object.keys(given).find(name => !names.includes(name))
  if (stray !== undefined) throw new TypeError(`there is no option ${show(stray)}`)
}
