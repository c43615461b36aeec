import { StateStoreError } from '../errors.js'
import { show, word } from './show.js'

/** The lifecycle states, in the order in which Kata lists them (its `StateString` constants). */
export const STATES = Object.freeze(['ready', 'running', 'paused', 'stopped'] as const)

/**
 * A lifecycle state (Kata's `StateString`): `ready` to be run, `running`, `paused`, or `stopped`.
 */
export type StateString = (typeof STATES)[number]

/** The states that may follow each state (Kata's `validTransition`). No state may follow itself, and `ready` follows none. */
export const TRANSITIONS = Object.freeze({
  ready: Object.freeze(['running', 'stopped'] as const),
  running: Object.freeze(['paused', 'stopped'] as const),
  paused: Object.freeze(['running', 'stopped'] as const),
  stopped: Object.freeze(['running'] as const),
}) satisfies Record<StateString, readonly StateString[]>

/**
 * The states that may follow `From`. With a literal `From`, an impossible pair does not compile; with the wide
 * {@link StateString}, whose value is known only at run time, every state is allowed.
 */
export type NextState<From extends StateString> = StateString extends From
  ? StateString
  : (typeof TRANSITIONS)[From][number]

/** Whether a value is one of the four states (Kata's `Valid`). */
export function isValidState(value: unknown): value is StateString {
  return value === 'ready' || value === 'running' || value === 'paused' || value === 'stopped'
}

/**
 * Checks a transition of the state machine (Kata's `ValidTransition`).
 *
 * @param current the state that the sandbox is in
 * @param expected the state that the caller expects it to be in (Kata's `oldState`)
 * @param next the state to move to
 * @throws StateStoreError `STATE_MISMATCH` when `current` is not `expected`, which is checked first; `INVALID_TRANSITION`
 * when `next` may not follow. Both have `expected` as `from` and `next` as `to`
 * @throws TypeError when an argument is not a string
 */
export function checkTransition(current: string, expected: string, next: string): void {
  for (const [name, value] of Object.entries({ current, expected, next })) {
    if (typeof value !== 'string') throw new TypeError(`${name} must be a state, not ${show(value)}`)
  }
  const details = { from: expected, to: next }
  if (current !== expected) {
    const message = `the state is ${word(current)}, expected ${word(expected)}`
    throw new StateStoreError('STATE_MISMATCH', message, details)
  }
  // TRANSITIONS is never indexed with text such as `__proto__`.
  const ways: readonly string[] = isValidState(current) ? TRANSITIONS[current] : []
  if (!ways.includes(next)) {
    const hint =
      ways.length === 0 ? `${word(current)} is not a state` : `from ${current}: ${ways.join(' or ')}`
    const message = `cannot move from ${word(current)} to ${word(next)} (${hint})`
    throw new StateStoreError('INVALID_TRANSITION', message, details)
  }
}
