import { setTimeout as sleep } from 'node:timers/promises'
import { isValidState } from '../../state/machine.js'
import type { SandboxStore } from '../../store.js'
import type { Cli } from '../cli.js'
import { ownerCell } from '../listing.js'
import { type Row, STATE_COLORS, tableLines } from '../table.js'
import { counted, duration, holderWords } from '../words.js'
import { Board, type Sight } from './board.js'

/** How often the table is redrawn, in ms. Owners and lock holders are looked up each time, since no event reports them. */
const PACE = 500

/** xterm's control sequences, which every terminal of today knows. */
const CLEAR_SCREEN = '\x1b[2J'
const HOME = '\x1b[H'
const CLEAR_LINE = '\x1b[K'
const CLEAR_BELOW = '\x1b[J'
/** Without wrapping, the terminal itself cuts a line that is too long. */
const NO_WRAP = '\x1b[?7l'
const WRAP = '\x1b[?7h'

/**
 * Redraws a table of the sandboxes on a terminal, until a signal ends the process. The terminal's modes stay as they are,
 * so that nothing must be restored.
 * @param id the only sandbox to show; undefined for all
 */
export async function live(store: SandboxStore, cli: Cli, id: string | undefined): Promise<void> {
  const board = new Board(store)
  const ended = new AbortController()
  const { signal } = ended
  const follow = async () => {
    for await (const event of store.watch({ signal, ...(id !== undefined && { id }) })) board.see(event)
  }
  const redraw = async () => {
    cli.out.add(CLEAR_SCREEN)
    while (!signal.aborted) {
      const { rows, columns } = cli.out
      const ids = board.ids()
      const sights = await board.look(ids.slice(0, rowsThatFit(rows)))
      if (signal.aborted) return
      // The root may be created meanwhile.
      const view = { root: cli.rootWords, id, sights, more: ids.length - sights.length }
      const text = frame(view, { rows, columns }, cli.colors, Date.now()).join(`${CLEAR_LINE}\n`)
      cli.out.add(HOME + NO_WRAP + text + CLEAR_LINE + CLEAR_BELOW + WRAP)
      await cli.out.flush()
      await sleep(PACE, undefined, { signal })
    }
  }
  try {
    await Promise.all([follow(), redraw()])
  } finally {
    ended.abort()
  }
}

export interface View {
  readonly root: string
  readonly id?: string | undefined
  /** Those that fit, see {@link rowsThatFit}. */
  readonly sights: readonly Sight[]
  /** Number of the others. */
  readonly more: number
}

/** Beside the title, an empty line, the headings, and the line at the bottom. */
export function rowsThatFit(rows: number): number {
  return Math.max(rows - 4, 0)
}

/** A terminal's size. */
interface Size {
  readonly rows: number
  readonly columns: number
}

/** The lines of a screen. */
export function frame(view: View, { rows, columns }: Size, colors: boolean, time: number): string[] {
  const { root, id, sights, more } = view
  const table = (idWidth: number, colors: boolean) =>
    tableLines([HEADINGS, ...sights.map(sight => rowOf(sight, idWidth, time))], colors)
  const longest = Math.max(0, ...sights.map(({ id }) => id.length))
  // In the last column CLEAR_LINE would take a line's last character away.
  const excess = Math.max(0, ...table(longest, false).map(line => line.length - (columns - 1)))
  const isAwaited = id !== undefined && sights.length === 0
  const body = isAwaited ? [`no sandbox ${id} yet`] : table(longest - excess, colors)
  const lines = [`${root}: ${counted(sights.length + more, 'sandbox', 'sandboxes')}`, '', ...body]
  return [...lines.slice(0, rows - 1), `${more > 0 ? `${more} more do not fit; ` : ''}Ctrl-C quits`]
}

const HEADINGS = ['ID', 'STATE', 'FOR', 'OWNER', 'LOCK HELD BY', 'LAST CHANGE BY', 'REASON']

function rowOf(sight: Sight, idWidth: number, time: number): Row {
  const { id, now, since, owner, lock, by = '', reason = '' } = sight
  const color = isValidState(now) ? STATE_COLORS[now] : 'red'
  const age = since === undefined ? '-' : duration(time - since)
  const holder = lock === undefined ? '-' : holderWords(lock)
  const state: Row = [
    { text: now, color },
    { text: age, align: 'right' },
  ]
  return [shortened(id, idWidth), ...state, ownerCell(owner), holder, by, reason]
}

/** How much of an id is shown even on a narrow terminal. */
const SHORT_ID = 17

/** An id without its middle: Kata's have 64 characters, and would leave no room for the rest. */
function shortened(id: string, width: number): string {
  const length = Math.max(width, SHORT_ID)
  const end = (length - 1) >> 1
  return id.length <= length ? id : `${id.slice(0, length - 1 - end)}…${id.slice(-end)}`
}
