import { checkMove } from '../change.js'
import type { StateString } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { SandboxStore } from '../store.js'
import type { ChangeOptions } from '../store-types.js'

/** Moves a sandbox from whichever state it is in. */
export async function move(store: SandboxStore, id: string, to: StateString, how: ChangeOptions) {
  let before: StateString = to
  const change = (current: SandboxState) => {
    before = current.state
    // An update may leave the state as it is, but a transition to the present state is refused.
    checkMove(id, before, before, to)
    return { ...current, state: to }
  }
  const state = await store.update(id, change, how)
  return { before, state }
}
