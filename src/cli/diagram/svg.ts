import { STATES, type StateString } from '../../state/machine.js'
import { type Counts, label, MOVES, type Move } from './machine.js'

const BOX = { width: 132, height: 44 } as const
const GAP = 84
const MARGIN = 24
/** How much higher an arc is for each state that it passes. */
const RISE = 40
/** Between the ends of two arcs at one side of a box. */
const PORT = 16

const COLORS: Readonly<Record<StateString, string>> = {
  ready: '#cff4f7',
  running: '#d3f2d5',
  paused: '#fbeec2',
  stopped: '#e4e4e7',
}

/** The state machine as a picture: moves to the right above the boxes, moves to the left below. */
export function svgDiagram(counts: Counts | undefined): string[] {
  const farRight = Math.max(0, ...MOVES.map(distance))
  const farLeft = Math.max(0, ...MOVES.map(move => -distance(move)))
  const top = MARGIN + (farRight > 1 ? farRight * RISE : 0)
  const width = 2 * MARGIN + STATES.length * BOX.width + (STATES.length - 1) * GAP
  const height = top + BOX.height + farLeft * RISE + MARGIN
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    '  <title>The states of a sandbox</title>',
    '  <defs>',
    '    <marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">',
    '      <path d="M 0 1 L 10 5 L 0 9 z" fill="#333"/>',
    '    </marker>',
    '  </defs>',
    `  <rect width="${width}" height="${height}" fill="#fff"/>`,
    '  <g fill="none" stroke="#333" stroke-width="1.5" marker-end="url(#arrow)">',
    ...MOVES.map(move => `    <path d="${path(move, top)}"><title>${move.from} to ${move.to}</title></path>`),
    '  </g>',
    '  <g font-family="sans-serif" font-size="16" text-anchor="middle" stroke-width="1.5">',
    ...STATES.flatMap(state => [
      `    <rect x="${left(state)}" y="${top}" width="${BOX.width}" height="${BOX.height}" rx="8" fill="${COLORS[state]}" stroke="#333"/>`,
      `    <text x="${left(state) + BOX.width / 2}" y="${top + BOX.height / 2 + 6}" fill="#111">${label(state, counts)}</text>`,
    ]),
    '  </g>',
    '</svg>',
  ]
}

function left(state: StateString): number {
  return MARGIN + STATES.indexOf(state) * (BOX.width + GAP)
}

function distance({ from, to }: Move): number {
  return STATES.indexOf(to) - STATES.indexOf(from)
}

function path(move: Move, top: number): string {
  const far = distance(move)
  const middle = top + BOX.height / 2
  if (far === 1) return `M ${left(move.from) + BOX.width} ${middle} L ${left(move.to)} ${middle}`
  const isRight = far > 0
  const y = isRight ? top : top + BOX.height
  const height = Math.abs(far) * RISE
  // A cubic curve rises to three quarters of where its control points are.
  const control = y + ((isRight ? -height : height) * 4) / 3
  const start = port(move, 'from')
  const end = port(move, 'to')
  return `M ${start} ${y} C ${start} ${control} ${end} ${control} ${end} ${y}`
}

/** Where an arc meets its box: those that go furthest are nearest to the box's middle, so that no two cross there. */
function port(move: Move, end: 'from' | 'to'): number {
  const isRight = distance(move) > 0
  const beside = MOVES.filter(
    other => other[end] === move[end] && distance(other) > 0 === isRight && distance(other) !== 1,
  ).sort((one, other) => Math.abs(distance(other)) - Math.abs(distance(one)))
  const side = isRight === (end === 'from') ? 1 : -1
  return left(move[end]) + BOX.width / 2 + side * PORT * (beside.indexOf(move) + 1)
}
