import { STATES, type StateString, TRANSITIONS } from '../../state/machine.js'

/** How many sandboxes stand in each state. */
export type Counts = ReadonlyMap<StateString, number>

/** One move of the state machine. */
export interface Move {
  readonly from: StateString
  readonly to: StateString
}

/** Every move, by the states' order. */
export const MOVES: readonly Move[] = STATES.flatMap(from => TRANSITIONS[from].map(to => ({ from, to })))

/** Such as `running`, or `running (3)` where sandboxes are counted. */
export function label(state: StateString, counts: Counts | undefined): string {
  return counts === undefined ? state : `${state} (${counts.get(state) ?? 0})`
}
