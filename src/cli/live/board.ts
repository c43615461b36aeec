import type { HistoryEntry } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { SandboxStore } from '../../store.js'
import type { StateEvent } from '../../watch.js'
import { holderWords, whoWords } from '../words.js'

/** What a row of the live view shows. */
export interface Sight {
  readonly id: string
  /** A state, or the code of the error when it cannot be read. */
  readonly now: string
  /** When that began, in ms since 1970; undefined if it is not known. */
  readonly since: number | undefined
  /** Who changed it last. */
  readonly by: string
  /** Who holds its lock; empty when nobody does. */
  readonly holder: string
}

interface Entry {
  readonly now: string
  readonly since: number | undefined
  readonly by?: string
  /** When an event last came, in ms since 1970. */
  readonly changed: number
}

/** The history is written after the state: for how long to look for the line of a change, in ms. */
const HISTORY_DELAY = 2000

/** What the live view knows about each sandbox. */
export class Board {
  private readonly entries = new Map<string, Entry>()

  constructor(private readonly store: SandboxStore) {}

  see(event: StateEvent, time: number): void {
    const { id, type } = event
    if (type === 'deleted') {
      this.entries.delete(id)
      return
    }
    const now = event.type === 'error' ? event.error.code : event.state.state
    const before = this.entries.get(id)
    // The first event about a sandbox does not say how long it has been in that state.
    const since = before === undefined ? undefined : before.now === now ? before.since : time
    this.entries.set(id, { now, since, changed: time })
  }

  ids(): readonly string[] {
    return [...this.entries.keys()].sort()
  }

  /** Looks up who changed a sandbox last and who holds it; undefined if it was deleted meanwhile. */
  async sight(id: string): Promise<Sight | undefined> {
    const [lock] = await allOrNone(this.store.locks({ id }))
    let entry = this.entries.get(id)
    if (entry !== undefined && (entry.by === undefined || Date.now() - entry.changed < HISTORY_DELAY)) {
      const known = { ...entry, ...lastChange(await allOrNone(this.store.history(id)), entry.now) }
      // An event that came meanwhile knows better.
      if (this.entries.get(id) === entry) this.entries.set(id, known)
      entry = this.entries.get(id)
    }
    const holder = lock === undefined ? '' : holderWords(lock.holder)
    return entry && { id, now: entry.now, since: entry.since, by: entry.by ?? '', holder }
  }
}

function lastChange(entries: readonly HistoryEntry[], now: string): Partial<Entry> {
  const last = entries.at(-1)
  if (last?.to !== now) return { by: '-' }
  const start = entries.findLast(({ from, to, gap }) => from !== to || gap === true)
  return { by: whoWords(last), ...(start === undefined ? {} : { since: Date.parse(start.time) }) }
}

/** Nothing if it cannot be read: the sandbox may be gone, or its backend may not support it. */
async function allOrNone<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  try {
    for await (const item of items) all.push(item)
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
  }
  return all
}
