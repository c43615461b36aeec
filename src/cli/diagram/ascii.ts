import { STATES, type StateString } from '../../state/machine.js'
import type { Paint } from '../table.js'
import { type Counts, label, MOVES } from './machine.js'

/** Each state that can be entered has a lane, so many columns wide. */
const LANE = 6

/**
 * The state machine in plain characters. A state leaves by its first line, which meets (`+`) the lane of each state that
 * may follow, and is entered by its second, where its own lane ends in an arrow. Lanes that only cross do not meet.
 */
export function asciiDiagram(
  counts: Counts | undefined,
  paint: (state: StateString) => Paint | false,
): string[] {
  const lanes = STATES.filter(state => MOVES.some(({ to }) => to === state))
  const names = STATES.map(state => label(state, counts))
  const width = Math.max(...names.map(name => name.length)) + 1
  const reach = (lane: StateString): [first: number, last: number] => {
    const rows = MOVES.filter(({ to }) => to === lane).map(({ from }) => leaves(from))
    rows.push(enters(lane))
    return [Math.min(...rows), Math.max(...rows)]
  }
  const rows = STATES.flatMap((state, at) => {
    const name = (names[at] ?? '').padEnd(width)
    const shown = paint(state)
    const start = shown ? shown(name.trimEnd()) + name.slice(name.trimEnd().length) : name
    const out = lanes.filter(lane => MOVES.some(({ from, to }) => from === state && to === lane))
    const lines = [start + lineOf(leaves(state), '-', out)]
    const isEntered = lanes.includes(state)
    if (isEntered || at < STATES.length - 1) {
      lines.push(' '.repeat(width) + lineOf(enters(state), isEntered ? '<' : ' ', isEntered ? [state] : []))
    }
    // A line between this state and the next.
    if (at < STATES.length - 1) lines.push(' '.repeat(width) + lineOf(enters(state) + 1, ' ', []))
    return lines
  })
  return rows.map(row => row.trimEnd())

  /** @param meets the lanes that it meets, up to the last of which it is drawn */
  function lineOf(row: number, begin: string, meets: readonly StateString[]): string {
    const end = Math.max(-1, ...meets.map(lane => lanes.indexOf(lane)))
    let text = begin
    for (const [at, lane] of lanes.entries()) {
      const [first, last] = reach(lane)
      text += (at <= end ? '-' : ' ').repeat(at === 0 ? LANE - 1 : LANE)
      text += meets.includes(lane) ? '+' : row > first && row < last ? '|' : at <= end ? '-' : ' '
    }
    return text
  }
}

function leaves(state: StateString): number {
  return 3 * STATES.indexOf(state)
}

function enters(state: StateString): number {
  return leaves(state) + 1
}
