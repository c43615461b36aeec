import type { Owner, StateOrError, StoredSandbox } from '../backend.js'
import { visible } from '../state/show.js'
import type { Orphan, Reaped } from '../store-types.js'
import { labelWords } from './labels.js'
import { type Cell, type Row, STATE_COLORS } from './table.js'
import { age, faultWords, whoWords } from './words.js'

/** A column of a listing, beside the id. */
export type Column<Entry> = readonly [heading: string, cell: (entry: Entry) => Cell | string]

type WithState = Pick<StoredSandbox, 'id' | 'state'>

const STATE: Column<WithState> = [
  'STATE',
  ({ state: { state } }) => ({ text: state, color: STATE_COLORS[state] }),
]

const KATA: readonly Column<WithState>[] = [
  ['BLOCK-INDEX', ({ state }) => ({ text: String(state.blockIndex), align: 'right' })],
  ['MEMORY-BLOCK', ({ state }) => ({ text: String(state.guestMemoryBlockSize), align: 'right' })],
  ['HOTPLUG-PROBE', ({ state }) => (state.guestMemoryHotplugProbe ? 'yes' : 'no')],
  ['CGROUP-PATH', ({ state }) => visible(state.cgroupPath) || '-'],
]

const LABELS: Column<WithState> = ['LABELS', ({ state }) => labelWords(state.labels)]

/** What is to be copied. */
export const COPY_COLUMNS: readonly Column<WithState>[] = [STATE, ...KATA, LABELS]

/** What a store holds. */
export function listColumns(wide: boolean, now: number): readonly Column<StoredSandbox>[] {
  return [
    STATE,
    ['CHANGED', ({ changedAt }) => ({ text: age(changedAt, now), align: 'right' })],
    ['OWNER', ({ owner }) => ownerCell(owner)],
    ...(wide ? KATA : []),
    LABELS,
  ]
}

export function ownerCell(owner: Owner | undefined): Cell | string {
  if (owner === undefined) return '-'
  return owner.state === 'owned' ? whoWords(owner) : { text: 'orphaned', color: 'red' }
}

export const ORPHAN_COLUMNS: readonly Column<Orphan>[] = [
  STATE,
  ['OWNED-SINCE', ({ owner }) => owner.since ?? '-'],
  ['LAST-OWNER', ({ owner }) => whoWords(owner)],
]

/** What reaping does to an orphan, and why; it is yielded as it was before. */
export const REAPED_COLUMNS: readonly Column<Reaped>[] = [
  ['CHANGE', ({ state: { state } }) => ({ text: `${state} -> stopped`, color: STATE_COLORS.stopped })],
  ['REASON', ({ reason }) => visible(reason)],
]

export function headings<Entry>(columns: readonly Column<Entry>[]): string[] {
  return ['ID', ...columns.map(([heading]) => heading)]
}

/** A sandbox's row; the error of one that cannot be read. */
export function listingRow<Entry extends WithState>(
  entry: Entry | Exclude<StateOrError, WithState>,
  columns: readonly Column<Entry>[],
): Row {
  if ('error' in entry) {
    return [entry.id, { text: entry.error.code, color: 'red' }, faultWords(entry.error)]
  }
  return [entry.id, ...columns.map(([, cell]) => cell(entry))]
}
