import { STATES } from '../../state/machine.js'
import { type Counts, label, MOVES } from './machine.js'

/** The state machine for mermaid.js. */
export function mermaidDiagram(counts: Counts | undefined): string[] {
  return [
    'stateDiagram-v2',
    '    direction LR',
    ...(counts === undefined ? [] : STATES.map(state => `    state "${label(state, counts)}" as ${state}`)),
    '    [*] --> ready',
    ...MOVES.map(({ from, to }) => `    ${from} --> ${to}`),
  ]
}
