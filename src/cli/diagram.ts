import { STATES, type StateString, TRANSITIONS } from '../state/machine.js'

interface Move {
  readonly from: StateString
  readonly to: StateString
}

/** Every move, by the states' order. */
const MOVES: readonly Move[] = STATES.flatMap(from => TRANSITIONS[from].map(to => ({ from, to })))

/** The state machine for mermaid.js. */
export function mermaidDiagram(): string[] {
  const moves = MOVES.map(({ from, to }) => `    ${from} --> ${to}`)
  return ['stateDiagram-v2', '    direction LR', '    [*] --> ready', ...moves]
}

/** How many columns each lane takes. */
const LANE = 7

/**
 * The state machine in plain characters. A state leaves by its first line, which meets (`+`) the lane of each state that
 * may follow, and is entered by its second, where its own lane ends in an arrow. Lanes that only cross do not meet.
 */
export function asciiDiagram(): string[] {
  const width = Math.max(...STATES.map(state => state.length)) + 1
  const lanes = STATES.filter(state => MOVES.some(({ to }) => to === state))
  const grid = Array.from({ length: 3 * STATES.length - 1 }, () => ' '.repeat(LANE * lanes.length).split(''))
  const draw = (row: number, column: number, sign: string) => {
    const line = grid[row]
    if (line !== undefined && (line[column] === ' ' || sign === '+')) line[column] = sign
  }
  const leaves = (state: StateString) => 3 * STATES.indexOf(state)
  for (const [at, lane] of lanes.entries()) {
    const column = LANE * (at + 1) - 1
    const enters = leaves(lane) + 1
    const rows = [enters, ...MOVES.filter(({ to }) => to === lane).map(({ from }) => leaves(from))]
    draw(enters, 0, '<')
    for (let row = Math.min(...rows) + 1; row < Math.max(...rows); row++) draw(row, column, '|')
    for (const row of rows) {
      for (let before = 0; before < column; before++) draw(row, before, '-')
      draw(row, column, '+')
    }
  }
  return grid.map((line, row) => ((STATES[row / 3] ?? '').padEnd(width) + line.join('')).trimEnd())
}

const BOX = { width: 132, height: 44 } as const
const GAP = 84
const MARGIN = 24
/** How much higher an arc is for each state further. */
const RISE = 40
/** Where the boxes begin, below the highest arc that there can be. */
const TOP = MARGIN + RISE * (STATES.length - 1)
/** How far from a box's middle arcs leave it and, on the other side, enter it. */
const PORT = 16

/** The state machine as a picture: moves to the right above the boxes, moves to the left below. */
export function svgDiagram(): string[] {
  const width = 2 * MARGIN + STATES.length * BOX.width + (STATES.length - 1) * GAP
  const height = 2 * TOP + BOX.height
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
    ...MOVES.map(move => `    <path d="${path(move)}"><title>${move.from} to ${move.to}</title></path>`),
    '  </g>',
    '  <g font-family="sans-serif" font-size="16" text-anchor="middle" stroke-width="1.5">',
    ...STATES.flatMap(state => [
      `    <rect x="${left(state)}" y="${TOP}" width="${BOX.width}" height="${BOX.height}" rx="8" fill="#eef2f5" stroke="#333"/>`,
      `    <text x="${left(state) + BOX.width / 2}" y="${TOP + BOX.height / 2 + 6}" fill="#111">${state}</text>`,
    ]),
    '  </g>',
    '</svg>',
  ]
}

function left(state: StateString): number {
  return MARGIN + STATES.indexOf(state) * (BOX.width + GAP)
}

function path({ from, to }: Move): string {
  const distance = STATES.indexOf(to) - STATES.indexOf(from)
  const middle = TOP + BOX.height / 2
  if (distance === 1) return `M ${left(from) + BOX.width} ${middle} L ${left(to)} ${middle}`
  const side = Math.sign(distance)
  const y = distance > 0 ? TOP : TOP + BOX.height
  // A cubic curve rises to three quarters of where its control points are.
  const control = y - (distance * RISE * 4) / 3
  const start = left(from) + BOX.width / 2 + side * PORT
  const end = left(to) + BOX.width / 2 - side * PORT
  return `M ${start} ${y} C ${start} ${control} ${end} ${control} ${end} ${y}`
}
