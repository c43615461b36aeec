import type { HistoryEntry } from '../backend.js'
import { visible } from '../state/show.js'
import { type Row, STATE_COLORS } from './table.js'
import { ago, whoWords } from './words.js'

export const HISTORY_HEADINGS = ['SEQ', 'TIME', 'AGO', 'CHANGE', 'BY', 'REASON']

/** A row for each change, and one for each gap before a change; what may be missing before the first is not known here. */
export function historyRows(entries: readonly HistoryEntry[], now: number): Row[] {
  return entries.flatMap((entry, at) => {
    const row = changeRow(entry, now)
    return at > 0 && entry.gap === true ? [gapRow('not recorded'), row] : [row]
  })
}

function changeRow(entry: HistoryEntry, now: number): Row {
  const { seq, time, from, to, reason } = entry
  return [
    { text: String(seq), align: 'right' },
    time.replace(/\.\d+/, ''),
    ago(time, now),
    { text: changeWords(entry), color: from === to ? undefined : STATE_COLORS[to] },
    whoWords(entry),
    reasonWords(reason),
  ]
}

export function gapRow(words: string): Row {
  return [{ text: '?', align: 'right' }, '-', '-', { text: words, color: 'yellow' }]
}

/** Why a change was made, and `-` when nobody said. */
export function reasonWords(reason: string | undefined): string {
  return visible(reason ?? '') || '-'
}

function changeWords({ from, to, fields = [] }: HistoryEntry): string {
  if (from === null) return `created, ${to}`
  const parts = [...(from === to ? [] : [`${from} -> ${to}`]), ...fields.map(visible)]
  return parts.length === 0 ? 'no known field' : parts.join(', ')
}
