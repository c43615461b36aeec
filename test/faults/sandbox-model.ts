import { isValidState, type StateString, TRANSITIONS } from 'sandbox-state'
import type { Model } from './linearizability.js'
import type { Input, Output } from './load.js'

/** A sandbox as far as the contenders see it; null when there is none. */
type Sandbox = { readonly state: StateString; readonly blockIndex: number } | null

/** What each call gives on a sandbox that nobody else uses. */
export function sandboxModel(initial: Sandbox): Model<Sandbox, Input, Output> {
  return {
    initial,
    step(sandbox, input, output) {
      const [after, code] = effect(sandbox, input)
      if (output === undefined) return after
      if (output.code !== code) return undefined
      const shown = input.kind === 'delete' || code !== undefined || isSame(after, output)
      return shown ? after : undefined
    },
    key: sandbox => (sandbox === null ? 'none' : `${sandbox.state} ${sandbox.blockIndex}`),
  }
}

/** The sandbox after a call, and the code of the error that it gives. */
function effect(sandbox: Sandbox, input: Input): [after: Sandbox, code?: string] {
  if (input.kind === 'create') {
    return sandbox === null ? [{ state: 'ready', blockIndex: 0 }] : [sandbox, 'ALREADY_EXISTS']
  }
  if (sandbox === null) return [null, 'NOT_FOUND']
  switch (input.kind) {
    case 'read':
      return [sandbox]
    case 'increment':
      return [{ ...sandbox, blockIndex: sandbox.blockIndex + 1 }]
    case 'delete':
      return sandbox.state === 'running' ? [sandbox, 'INVALID_TRANSITION'] : [null]
    case 'transition': {
      if (sandbox.state !== input.from) return [sandbox, 'STATE_MISMATCH']
      const allowed: readonly string[] = TRANSITIONS[input.from]
      return allowed.includes(input.to) && isValidState(input.to)
        ? [{ ...sandbox, state: input.to }]
        : [sandbox, 'INVALID_TRANSITION']
    }
  }
}

function isSame(sandbox: Sandbox, { state, blockIndex }: Output): boolean {
  return sandbox !== null && sandbox.state === state && sandbox.blockIndex === blockIndex
}
