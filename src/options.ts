import { assertDataSchema } from './data-schema.js'
import { StateStoreError } from './errors.js'
import { assertId } from './sandbox-id.js'
import { checkLabels } from './state/labels.js'
import { isValidState, type StateString } from './state/machine.js'
import { show } from './state/show.js'

type Check = (name: string, value: unknown) => void

function must(be: string, isValid: (value: unknown) => boolean): Check {
  return (name, value) => {
    if (!isValid(value)) throw new TypeError(`${name} must be ${be}, not ${show(value)}`)
  }
}

/** The longest reason of a change, in UTF-16 units. */
export const MAX_REASON = 256

const ms = must('a number of milliseconds, 0 or more', value => typeof value === 'number' && value >= 0)
const flag = must('true or false', value => typeof value === 'boolean')

/** The check for each option, which is the same in every method that takes it. */
const CHECKS: Readonly<Record<string, Check | undefined>> = {
  id: (_name, value) => assertId(value),
  state: assertState,
  lockTimeout: ms,
  durable: flag,
  history: flag,
  force: flag,
  dryRun: flag,
  wait: flag,
  owner: must('owned, orphaned or unowned', value =>
    ['owned', 'orphaned', 'unowned'].includes(String(value)),
  ),
  reason: must(
    `a string of at most ${MAX_REASON} characters`,
    value => typeof value === 'string' && value.length <= MAX_REASON,
  ),
  ifRevision: must('the revision of a sandbox, a string', value => typeof value === 'string'),
  labels: must('an object of valid labels, such as { team: "a" }', value => checkLabels(value) !== undefined),
  changedBefore: must('a valid Date', value => isDate(value) && !Number.isNaN(value.getTime())),
  olderThan: ms,
  data: (_name, value) => assertDataSchema(value),
  onProgress: must('a function', value => typeof value === 'function'),
  // Not by its class: a test environment such as jsdom has its own.
  signal: must(
    'an AbortSignal',
    value => typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
  ),
}

/** Also one of another realm. */
function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]'
}

/**
 * Refuses options that are not an object, an unknown option (a misspelt one would be silently ignored), and a value that is
 * not valid.
 * @throws TypeError; StateStoreError `INVALID_ID` `INVALID_STATE`
 */
export function assertOptions(given: unknown, ...names: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`the options must be an object, not ${show(given)}`)
  }
  const stray = Object.keys(given).find(name => !names.includes(name))
  if (stray !== undefined) throw new TypeError(`there is no option ${show(stray)}`)
  for (const name of names) {
    const value: unknown = Reflect.get(given, name)
    if (value !== undefined) CHECKS[name]?.(name, value)
  }
}

/** @throws TypeError when it is not a string; StateStoreError `INVALID_STATE` when it is not a state */
export function assertState(
  name: string,
  value: unknown,
  choices = 'ready, running, paused or stopped',
): asserts value is StateString {
  if (isValidState(value)) return
  if (typeof value !== 'string') throw new TypeError(`${name} must be a state, not ${show(value)}`)
  throw new StateStoreError('INVALID_STATE', `${show(value)} is not a state: ${choices}`)
}
