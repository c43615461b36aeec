import type { StateOrError } from '../backend.js'
import { visible } from '../state/show.js'
import { type Row, STATE_COLORS } from './table.js'

export const LISTING_HEADINGS = ['ID', 'STATE', 'BLOCK-INDEX', 'MEMORY-BLOCK', 'HOTPLUG-PROBE', 'CGROUP-PATH']

/** A sandbox's row below {@link LISTING_HEADINGS}; the error of one that cannot be read. */
export function listingRow(entry: StateOrError): Row {
  if ('error' in entry) {
    const { code, message } = entry.error
    return [entry.id, { text: code, color: 'red' }, visible(message)]
  }
  const { state, blockIndex, guestMemoryBlockSize, guestMemoryHotplugProbe, cgroupPath } = entry.state
  return [
    entry.id,
    { text: state, color: STATE_COLORS[state] },
    { text: String(blockIndex), align: 'right' },
    { text: String(guestMemoryBlockSize), align: 'right' },
    guestMemoryHotplugProbe ? 'yes' : 'no',
    visible(cgroupPath) || '-',
  ]
}
