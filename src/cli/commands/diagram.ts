import { STATES, TRANSITIONS } from '../../state/machine.js'
import type { CommandSpec } from '../command.js'
import { formatOption } from '../options.js'

const ASCII = `ready   ------+-------------+
              |             |
              |             |
running ------|------+------+
        <-----+      |      |
              |      |      |
paused  ------+------|------+
        <-----|------+      |
              |             |
stopped ------+             |
        <-------------------+`

const MOVES = STATES.flatMap(from => TRANSITIONS[from].map(to => `    ${from} --> ${to}`))
const MERMAID = ['stateDiagram-v2', '    direction LR', '    [*] --> ready', ...MOVES].join('\n')

/** Moves to the right are above the boxes, moves to the left below. */
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="828" height="332" viewBox="0 0 828 332" role="img">
  <title>The states of a sandbox</title>
  <defs>
    <marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">
      <path d="M 0 1 L 10 5 L 0 9 z" fill="#333"/>
    </marker>
  </defs>
  <rect width="828" height="332" fill="#fff"/>
  <g fill="none" stroke="#333" stroke-width="1.5" marker-end="url(#arrow)">
    <path d="M 156 166 L 240 166"><title>ready to running</title></path>
    <path d="M 106 144 C 106 -16 722 -16 722 144"><title>ready to stopped</title></path>
    <path d="M 372 166 L 456 166"><title>running to paused</title></path>
    <path d="M 322 144 C 322 37 722 37 722 144"><title>running to stopped</title></path>
    <path d="M 506 188 C 506 241 322 241 322 188"><title>paused to running</title></path>
    <path d="M 588 166 L 672 166"><title>paused to stopped</title></path>
    <path d="M 722 188 C 722 295 322 295 322 188"><title>stopped to running</title></path>
  </g>
  <g font-family="sans-serif" font-size="16" text-anchor="middle" stroke-width="1.5">
${STATES.map(
  (state, at) =>
    `    <rect x="${24 + 216 * at}" y="144" width="132" height="44" rx="8" fill="#eef2f5" stroke="#333"/>
    <text x="${90 + 216 * at}" y="172" fill="#111">${state}</text>`,
).join('\n')}
  </g>
</svg>`

/** The state machine never changes, and a test compares the drawings with it. */
const DRAWINGS: Readonly<Record<string, string>> = { ascii: ASCII, mermaid: MERMAID, svg: SVG }

export const command: CommandSpec = {
  description: 'Draw the state machine.',
  notes: `In ascii a state leaves by its first line, which meets (+) the lane of each
state that may follow, and is entered by the second, where its own lane ends
(<).`,
  examples: [
    ['diagram', 'the state machine'],
    ['diagram --format svg > states.svg', 'as a picture'],
  ],
  done: 'drawn',
  takes: [formatOption('how to draw it', Object.keys(DRAWINGS))],
  run: (cli, { format }) => cli.out.write(`${DRAWINGS[format]}\n`),
}
