import type { HistoryEntry, LockHolder, Owner } from '../../backend.js'
import { ownError, StateStoreError } from '../../errors.js'
import type { SandboxStore } from '../../store.js'
import type { StateEvent } from '../../watch.js'
import { collect } from '../cli.js'
import { reasonWords } from '../history-table.js'
import { whoWords } from '../words.js'

/** What a row of the live view shows. */
export interface Sight {
  readonly id: string
  /** A state, or the code of the error when it cannot be read. */
  readonly now: string
  /** When that began, in ms since 1970; undefined if it is not known. */
  readonly since: number | undefined
  /** Who changed it last; undefined until that was looked up. */
  readonly by?: string
  /** Why. */
  readonly reason?: string
  readonly owner?: Owner | undefined
  /** Who holds its lock, if anybody does. */
  readonly lock?: LockHolder | undefined
}

/** The history is written after the state: for how long to look for the line of a change, in ms. */
const HISTORY_DELAY = 2000

/** What the live view knows about each sandbox. */
export class Board {
  /** With the time of the last event, in ms since 1970. */
  private readonly sights = new Map<string, Sight & { readonly changed: number }>()

  constructor(private readonly store: SandboxStore) {}

  see(event: StateEvent): void {
    const { id } = event
    if (event.type === 'deleted') {
      this.sights.delete(id)
      return
    }
    const now = event.type === 'error' ? event.error.code : event.state.state
    const before = this.sights.get(id)
    const changed = Date.now()
    // The first event about a sandbox does not say how long it has been in that state.
    const since = before === undefined ? undefined : before.now === now ? before.since : changed
    this.sights.set(id, { id, now, since, changed })
  }

  ids(): readonly string[] {
    return [...this.sights.keys()].sort()
  }

  /** Looks up who owns sandboxes, who locks them and who changed them last; those deleted meanwhile are left out. */
  async look(ids: readonly string[]): Promise<Sight[]> {
    const holders = await this.store.holdersOf(ids)
    await Promise.all(ids.map(id => this.lookBack(id)))
    return ids.flatMap(id => {
      const sight = this.sights.get(id)
      const held = holders.get(id)
      if (sight === undefined || held === undefined) return []
      const { changedAt, ...others } = held
      // What has no history has been in its state at least since its last change.
      const since = sight.since ?? (changedAt === undefined ? undefined : Date.parse(changedAt))
      return [{ ...sight, since, ...others }]
    })
  }

  private async lookBack(id: string): Promise<void> {
    const seen = this.sights.get(id)
    if (seen === undefined || (seen.by !== undefined && Date.now() - seen.changed >= HISTORY_DELAY)) return
    const known = { ...seen, ...lastChange(await this.history(id), seen.now) }
    // An event that came meanwhile knows better.
    if (this.sights.get(id) === seen) this.sights.set(id, known)
  }

  /** None if it cannot be read, as the sandbox may be gone. */
  private async history(id: string): Promise<HistoryEntry[]> {
    const history = await collect(this.store.history(id)).catch(ownError)
    return history instanceof StateStoreError ? [] : history
  }
}

function lastChange(entries: readonly HistoryEntry[], now: string): Partial<Sight> {
  const last = entries.at(-1)
  if (last?.to !== now) return { by: '-', reason: '-' }
  const start = entries.findLast(({ from, to, gap }) => from !== to || gap === true)
  return {
    by: whoWords(last),
    reason: reasonWords(last.reason),
    ...(start && { since: Date.parse(start.time) }),
  }
}
