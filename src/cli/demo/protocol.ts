import type { StateString } from '../../state/machine.js'

// What the demo and its workers say to each other, one JSON object a line: tasks go to a worker's stdin, and its
// reports come from its stdout. A worker ends when its stdin does, so that none outlives the demo.

export type Task =
  /** Add 1 to a sandbox's blockIndex, again and again. Each time is reported; nothing else is. */
  | { readonly do: 'add'; readonly id: string }
  /** Stop adding. Reports `resting`. */
  | { readonly do: 'rest' }
  /** Stop in the middle of the next addition, with the sandbox locked. Reports `inside`. */
  | { readonly do: 'hang' }
  /** Try a transition. Reports `moved` or `refused`. */
  | { readonly do: 'move'; readonly id: string; readonly from: StateString; readonly to: StateString }

export type Report =
  | { readonly kind: 'added' }
  | { readonly kind: 'resting' }
  | { readonly kind: 'inside' }
  | { readonly kind: 'moved' }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
