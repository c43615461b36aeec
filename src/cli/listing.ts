import type { ListEntry } from '../backend.js'
import { visible } from '../state/show.js'
import { paint, paintState } from './colors.js'
import { headedLines, painted, type Row } from './table.js'

export const LISTING_HEADINGS = ['ID', 'STATE', 'BLOCK-INDEX', 'MEMORY-BLOCK', 'HOTPLUG-PROBE', 'CGROUP-PATH']

/** The lines of a table of sandboxes; one that cannot be read is a row with its error. Of no entries, no lines. */
export function listingLines(entries: readonly ListEntry[], colors: boolean): string[] {
  return headedLines(
    LISTING_HEADINGS,
    entries.map(entry => entryCells(entry, colors)),
  )
}

/** The cells of a sandbox below {@link LISTING_HEADINGS}. */
export function entryCells(entry: ListEntry, colors: boolean): Row {
  if ('error' in entry) {
    const { code, message } = entry.error
    return [{ text: entry.id }, painted(code, colors && paint('red')), { text: visible(message) }]
  }
  const { state, blockIndex, guestMemoryBlockSize, guestMemoryHotplugProbe, cgroupPath } = entry.state
  return [
    { text: entry.id },
    painted(state, colors && paintState(state)),
    { text: String(blockIndex), align: 'right' },
    { text: String(guestMemoryBlockSize), align: 'right' },
    { text: guestMemoryHotplugProbe ? 'yes' : 'no' },
    { text: visible(cgroupPath) || '-' },
  ]
}
