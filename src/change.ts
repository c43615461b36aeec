import { StateStoreError, withSubject } from './errors.js'
import { checkTransition, type StateString } from './state/machine.js'
import { type SandboxState, UNKNOWN_KEYS } from './state/sandbox-state.js'

/** A function that turns a state into the next one. Not asynchronous: it runs while the sandbox is locked. */
export type Update = (state: SandboxState) => SandboxState

/** What can be done to one sandbox. */
export type Change =
  | { readonly kind: 'create'; readonly state: SandboxState }
  | { readonly kind: 'transition'; readonly from: StateString; readonly to: StateString }
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'delete'; readonly force: boolean }

/** The kinds of changes, one for each method of a store that makes one. */
export type ChangeKind = 'create' | 'transition' | 'update' | 'delete'

/**
 * What a change makes of a sandbox's state: the whole of the rules, and nothing but them. Undefined stands for a
 * sandbox that does not exist, before it or after it.
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

/** As {@link checkTransition}, with the sandbox's name in the error. */
export function checkMove(id: string, current: string, expected: string, next: string): void {
  const details = { id, from: expected, to: next, cause: undefined } // The cause would say the same.
  withSubject(`sandbox ${id}`, details, () => checkTransition(current, expected, next))
}

/** Keys of the file that a program does not see are not lost because it made its state anew instead of copying the old one. */
function withUnknownKeys(next: SandboxState, current: SandboxState): SandboxState {
  const unknown = current[UNKNOWN_KEYS] // The text of the data, too: it is dropped where the data is another now.
  if (unknown === undefined || next[UNKNOWN_KEYS] !== undefined) return next
  return { ...next, [UNKNOWN_KEYS]: unknown }
}

/** @param isForeign whether it is no state of ours, so that reading it is `NOT_FOUND` */
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
