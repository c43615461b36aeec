import type { StateString } from '../state/machine.js'

/** Select Graphic Rendition parameters (ECMA-48), in the terminal's own colours. */
const SGR = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2 } as const

export type Color = keyof typeof SGR

export const STATE_COLORS = {
  ready: 'cyan',
  running: 'green',
  paused: 'yellow',
  stopped: 'dim',
} as const satisfies Record<StateString, Color>

export interface Cell {
  readonly text: string
  /** Numbers are easier to compare when their last digits line up. */
  readonly align?: 'left' | 'right'
  readonly color?: Color | undefined
}

export type Row = readonly (string | Cell)[]

const GAP = '  '

/**
 * Lines of aligned columns, without trailing spaces. The last cell of a row takes the rest of its line: it may be long,
 * and a row may have fewer cells than others.
 */
export function tableLines(rows: readonly Row[], colors = false): string[] {
  const table = rows.map(row => row.map(cell => (typeof cell === 'string' ? { text: cell } : cell)))
  const widths: number[] = []
  for (const row of table) {
    for (const [column, { text }] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? 0, text.length)
    }
  }
  return table.map(row =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0, colors))
      .join(GAP)
      .trimEnd(),
  )
}

/** The spaces are outside of the colour, which could show on them. */
function padded({ text, align, color }: Cell, width: number, colors: boolean): string {
  const space = ' '.repeat(Math.max(width - text.length, 0))
  const painted = colors && color !== undefined ? `\x1b[${SGR[color]}m${text}\x1b[0m` : text
  return align === 'right' ? space + painted : painted + space
}
