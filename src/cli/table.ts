import { widthOf } from './width.js'

/** Puts a cell's text, already padded, in colour. */
export type Paint = (text: string) => string

export interface Cell {
  readonly text: string
  /** Numbers are easier to compare when their last digits stand below each other. */
  readonly align?: 'left' | 'right'
  readonly paint?: Paint
}

export type Row = readonly Cell[]

const GAP = '  '

/**
 * Lines of aligned columns, without trailing spaces. The last cell of a row takes what is left of its line: it may be
 * long, and a row may have fewer cells than others.
 */
export function tableLines(rows: readonly Row[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, { text }] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(text))
    }
  }
  return rows.map(row => {
    const cells = row.map((cell, column) => padded(cell, widths[column] ?? 0))
    return cells.join(GAP).trimEnd()
  })
}

/** As {@link tableLines}, below headings; of no rows, no lines: a script sees from their absence that there are none. */
export function headedLines(headings: readonly string[], rows: readonly Row[]): string[] {
  return rows.length === 0 ? [] : tableLines([headings.map(text => ({ text })), ...rows])
}

/** A cell that may be in colour. */
export function painted(text: string, paint: Paint | false): Cell {
  return paint ? { text, paint } : { text }
}

/** The spaces are outside of the paint, which could show on them. */
function padded({ text, align = 'left', paint = plain }: Cell, width: number): string {
  const space = ' '.repeat(Math.max(width - widthOf(text), 0))
  return align === 'left' ? paint(text) + space : space + paint(text)
}

function plain(text: string): string {
  return text
}
