import type { HistoryEntry } from '../backend.js'
import { STATES, type StateString } from '../state/machine.js'

/** How long a sandbox was in a state, from one line of its history on. */
export interface Stay {
  /** In ms, as far as the history tells. */
  readonly known: number
  /** `ended`: another state followed; `lasting`: it is in it still; `unknown`: something that is not told came after it. */
  readonly end: 'ended' | 'lasting' | 'unknown'
}

/** What a history tells of the time that went by. */
export interface Past {
  /** For each entry with which a state, or what is known of it, began. */
  readonly stays: ReadonlyMap<HistoryEntry, Stay>
  /** In ms; states that it never was in are missing. */
  readonly totals: ReadonlyMap<StateString | 'unknown', number>
}

/**
 * Adds up a history. What comes before a gap ends at an unknown time, so the time between is nobody's.
 * @param current the state now; undefined when it cannot be told
 * @param now in ms since 1970
 */
export function pastOf(
  entries: readonly HistoryEntry[],
  current: StateString | undefined,
  now: number,
): Past {
  const stays = new Map<HistoryEntry, Stay>()
  const sums = new Map<StateString | 'unknown', number>()
  let first: HistoryEntry | undefined
  let known = 0
  for (const [at, entry] of entries.entries()) {
    if (first === undefined) {
      first = entry
      known = 0
    }
    const next = entries[at + 1]
    const isTold = next === undefined ? current === entry.to : next.gap === undefined
    const time = Math.max((next === undefined ? now : Date.parse(next.time)) - Date.parse(entry.time), 0)
    const state = isTold ? entry.to : 'unknown'
    sums.set(state, (sums.get(state) ?? 0) + time)
    if (isTold) known += time
    if (next !== undefined && isTold && next.from === next.to) continue // It stayed in its state.
    stays.set(first, { known, end: isTold ? (next === undefined ? 'lasting' : 'ended') : 'unknown' })
    first = undefined
  }
  const order = [...STATES, 'unknown'] as const
  return { stays, totals: new Map(order.flatMap(state => entryOf(sums, state))) }
}

function entryOf<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): (readonly [Key, Value])[] {
  const value = map.get(key)
  return value === undefined ? [] : [[key, value]]
}
