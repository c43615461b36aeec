import { StateStoreError, withSubject } from './errors.js'
import { checkTransition, type StateString } from './state/machine.js'
import { type SandboxState, UNKNOWN_KEYS } from './state/sandbox-state.js'
import { validState } from './state/validate.js'

/** A function that turns a state into the next one. Not asynchronous: it runs while the sandbox is locked. */
export type Update = (state: SandboxState) => SandboxState

/** A change of one sandbox, with its arguments. */
export type Change =
  | { readonly kind: 'create'; readonly state: SandboxState }
  | { readonly kind: 'transition'; readonly from: StateString; readonly to: StateString }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'delete'; readonly force: boolean }

/** The kinds of changes, one for each method of a store that makes one. */
export type ChangeKind = 'create' | 'transition' | 'update' | 'delete'

/**
 * Applies a change to a sandbox's state: all of the rules, and nothing else. Undefined stands for a sandbox that does not
 * exist, before the change or after it.
 * @throws StateStoreError `ALREADY_EXISTS` `NOT_FOUND` `STATE_MISMATCH` `INVALID_TRANSITION`, and what an update throws
 */
export function applyChange(
  change: Change,
  current: SandboxState | undefined,
  id: string,
): SandboxState | undefined {
  if (change.kind === 'create') {
    if (current !== undefined) throw alreadyExists(id)
    return change.state
  }
  if (current === undefined) throw notFound(id)
  switch (change.kind) {
    case 'transition':
      checkMove(id, current.state, change.from, change.to)
      return { ...current, state: change.to }
    case 'update': {
      const next = withUnknownKeys(change.update({ ...current }), current)
      if (next.state !== current.state) checkMove(id, current.state, current.state, next.state)
      return next
    }
    case 'delete':
      if (current.state === 'running' && !change.force) throw stillRunning(id)
      return undefined
  }
}

/**
 * The state that an update function returned.
 * @throws TypeError when it returned a promise or nothing; StateStoreError `INVALID_STATE` when it is not a whole, valid state
 */
export function stateOfUpdate(result: unknown): SandboxState {
  if (typeof result !== 'object' || result === null) {
    throw new TypeError('an update must return the new state')
  }
  if ('then' in result && typeof result.then === 'function') {
    result.then(undefined, () => {}) // Nobody else would handle its rejection.
    throw new TypeError(
      'an update must return the new state itself, not a promise of it: nothing waits under a lock',
    )
  }
  if (!('state' in result)) {
    const message = 'an update must return the whole state, such as { ...state, blockIndex: 1 }'
    throw new StateStoreError('INVALID_STATE', message)
  }
  return validState(result)
}

/** As {@link checkTransition}, with the sandbox's name in the error. */
export function checkMove(id: string, current: string, expected: string, next: string): void {
  const details = { id, from: expected, to: next, cause: undefined } // The cause would say the same.
  withSubject(`sandbox ${id}`, details, () => checkTransition(current, expected, next))
}

/** Keeps the file's unknown keys also when a program builds its state from scratch instead of copying the old one. */
function withUnknownKeys(next: SandboxState, current: SandboxState): SandboxState {
  const unknown = current[UNKNOWN_KEYS] // May include the text of the data, which is dropped later if the data changed.
  if (unknown === undefined || next[UNKNOWN_KEYS] !== undefined) return next
  return { ...next, [UNKNOWN_KEYS]: unknown }
}

/** @param isForeign whether it is in another program's format, so that reading it is `NOT_FOUND` */
export function alreadyExists(id: string, isForeign = false): StateStoreError {
  const format = isForeign ? ", in another program's format" : ''
  return new StateStoreError('ALREADY_EXISTS', `sandbox ${id} already exists${format}`, { id })
}

export function notFound(id: string): StateStoreError {
  return new StateStoreError('NOT_FOUND', `there is no sandbox ${id}`, { id })
}

/** @throws StateStoreError `NOT_FOUND` `REVISION_MISMATCH` */
export function assertRevision(id: string, expected: string, revision: string | undefined): void {
  if (revision === undefined) throw notFound(id)
  if (revision === expected) return
  const message = `sandbox ${id} was changed since its revision was read`
  throw new StateStoreError('REVISION_MISMATCH', message, { id })
}

function stillRunning(id: string): StateStoreError {
  const message = `sandbox ${id} is running: stop it first, or force the deletion`
  return new StateStoreError('INVALID_TRANSITION', message, { id, from: 'running' })
}
