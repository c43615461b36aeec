import type { StateString } from '../state/machine.js'
import type { Paint } from './table.js'

/** Select Graphic Rendition parameters (ECMA-48), in the terminal's own colours. */
const SGR = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 } as const

const STATE_COLORS = {
  ready: 'cyan',
  running: 'green',
  paused: 'yellow',
  stopped: 'dim',
} as const satisfies Record<StateString, keyof typeof SGR>

export function paintState(state: StateString): Paint {
  return paint(STATE_COLORS[state])
}

export function paint(color: keyof typeof SGR): Paint {
  return text => `\x1b[${SGR[color]}m${text}\x1b[0m`
}
