import { isValidState } from '../../state/machine.js'
import { visible } from '../../state/show.js'
import { paint, paintState } from '../colors.js'
import { painted, type Row, tableLines } from '../table.js'
import { duration } from '../times.js'
import { clip, widthOf } from '../width.js'
import { counted } from '../words.js'
import type { Sight } from './board.js'

/** What is to be shown. */
export interface View {
  readonly root: string
  /** The one sandbox that is followed; undefined for all. */
  readonly id?: string | undefined
  /** How many sandboxes there are of each kind. */
  readonly counts: ReadonlyMap<string, number>
  /** Those that fit, see {@link rowsThatFit}. */
  readonly sights: readonly Sight[]
  /** How many there are beside them. */
  readonly more: number
  /** In ms since 1970. */
  readonly now: number
  /** The key that ends it. */
  readonly quit: string
}

export interface Size {
  readonly rows: number
  readonly columns: number
}

/** The title, an empty line, the headings, and the line at the bottom. */
const OTHER_LINES = 4

/** How many sandboxes have room. */
export function rowsThatFit({ rows }: Size): number {
  return Math.max(rows - OTHER_LINES, 0)
}

/** The lines of a screen, none of them wider than it is. */
export function frame(view: View, size: Size, colors: boolean): string[] {
  const { columns } = size
  const total = [...view.counts.values()].reduce((sum, count) => sum + count, 0)
  const kinds = [...view.counts].filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`)
  const title = `${visible(view.root)}: ${counted(total, 'sandbox', 'sandboxes')}${kinds.length > 0 ? `, ${kinds.join(', ')}` : ''}`
  const more = view.more > 0 ? `${view.more} more do not fit; ` : ''
  const bottom = clip(`${more}${view.quit} quits`, columns)
  const isAwaited = view.id !== undefined && view.sights.length === 0
  const body = isAwaited ? [clip(`no sandbox ${view.id} yet`, columns)] : tableOf(view, columns, colors)
  const lines = [clip(title, columns), '', ...body]
  lines.splice(Math.max(size.rows - 1, 0))
  return size.rows > lines.length ? [...lines, colors ? paint('dim')(bottom) : bottom] : lines
}

const HEADINGS = ['ID', 'STATE', 'FOR', 'LAST CHANGE BY', 'LOCK HELD BY']
const GAP = 2

function tableOf({ sights, now }: View, columns: number, colors: boolean): string[] {
  const texts = sights.map(sight => [
    sight.id,
    sight.now,
    `${sight.isAtLeast ? '>' : ''}${duration(now - sight.since)}`,
    sight.by ?? '',
    sight.holder || '-',
  ])
  const widths = widthsOf([HEADINGS, ...texts], columns)
  const clipped = (cells: readonly string[]) =>
    cells.slice(0, widths.length).map((text, column) => clip(text, widths[column] ?? 0))
  const rows = sights.map(
    (sight, at): Row =>
      clipped(texts[at] ?? []).map((text, column) => {
        if (column === 2) return { text, align: 'right' }
        return painted(text, colors && column === 1 && paintOf(sight))
      }),
  )
  return tableLines([clipped(HEADINGS).map(text => ({ text })), ...rows])
}

function paintOf({ now, kind }: Sight) {
  if (kind === 'error') return paint('red')
  return isValidState(now) ? paintState(now) : paint('dim')
}

/** The first three columns are what it is about; a long id leaves them some room, and the last two share the rest. */
function widthsOf(rows: readonly (readonly string[])[], columns: number): number[] {
  const natural = HEADINGS.map((_, column) => Math.max(...rows.map(row => widthOf(row[column] ?? ''))))
  const [id = 0, state = 0, time = 0, by = 0, holder = 0] = natural
  const shownId = Math.min(id, Math.max(Math.floor(columns * 0.4), columns - state - time - 2 * GAP - 40))
  const rest = Math.max(columns - shownId - state - time - 4 * GAP, 0)
  if (rest < 2 * LEAST) return fitted([shownId, state, time, rest < LEAST ? 0 : Math.min(by, rest)], columns)
  const shownBy = Math.min(by, Math.max(Math.floor(rest / 2), rest - holder))
  return fitted([shownId, state, time, shownBy, Math.min(holder, rest - shownBy)], columns)
}

/** A process that is cut to fewer columns says nothing any more. */
const LEAST = 12

/** On a narrow screen the last columns are cut, or missing. */
function fitted(widths: readonly number[], columns: number): number[] {
  const fit: number[] = []
  let left = columns
  for (const width of widths) {
    const shown = Math.min(width, left)
    if (shown <= 0) break
    fit.push(shown)
    left -= shown + GAP
  }
  return fit
}
