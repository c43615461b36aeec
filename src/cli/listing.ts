import type { ListEntry } from '../backend.js'
import { visible } from '../state/show.js'
import { paint, paintState } from './colors.js'
import { type Cell, type Row, tableLines } from './table.js'

const HEADINGS = ['ID', 'STATE', 'BLOCK-INDEX', 'MEMORY-BLOCK', 'HOTPLUG-PROBE', 'CGROUP-PATH']

/** The lines of a table of sandboxes; one that cannot be read is a row with its error. Of no entries, no lines. */
export function listingLines(entries: readonly ListEntry[], colors: boolean): string[] {
  if (entries.length === 0) return []
  return tableLines([HEADINGS.map(text => ({ text })), ...entries.map(entry => entryRow(entry, colors))])
}

function entryRow(entry: ListEntry, colors: boolean): Row {
  if ('error' in entry) {
    const { code, message } = entry.error
    return [{ text: entry.id }, colored(code, colors && paint('red')), { text: visible(message) }]
  }
  const { state, blockIndex, guestMemoryBlockSize, guestMemoryHotplugProbe, cgroupPath } = entry.state
  return [
    { text: entry.id },
    colored(state, colors && paintState(state)),
    { text: String(blockIndex), align: 'right' },
    { text: String(guestMemoryBlockSize), align: 'right' },
    { text: guestMemoryHotplugProbe ? 'yes' : 'no' },
    { text: visible(cgroupPath) || '-' },
  ]
}

function colored(text: string, paint: Cell['paint'] | false): Cell {
  return paint ? { text, paint } : { text }
}
