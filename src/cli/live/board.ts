import { StateStoreError } from '../../errors.js'
import { STATES, type StateString } from '../../state/machine.js'
import type { SandboxStore } from '../../store.js'
import type { StateEvent } from '../../watch.js'
import { holderOf, holderWords } from '../holder.js'
import { whoWords } from '../who.js'

/** What is known of one sandbox. */
export interface Sight {
  readonly id: string
  /** A state, `deleted`, or an error's code. */
  readonly now: string
  readonly kind: 'state' | 'deleted' | 'error'
  /** Since when, in ms since 1970; with `isAtLeast`, or longer. */
  readonly since: number
  readonly isAtLeast: boolean
  /** Who changed it last; undefined until it was looked up. */
  readonly by?: string
  /** Who holds it; empty when nobody does. */
  readonly holder: string
}

/** A deleted sandbox is shown for so many ms. */
const SHOWN_DELETED = 10_000
/** The line in the history comes after the change; for so many ms it is looked for. */
const LINE_COMES = 2000
/** How often a row is looked up, in ms. */
const REFRESH = 500

/** What a live view knows: of each sandbox what its events tell, and of those that are shown also what must be looked up. */
export class Board {
  private readonly sights = new Map<string, Sight>()
  private readonly lookedUp = new Map<string, number>()
  private readonly changed = new Map<string, number>()
  private sorted: readonly string[] | undefined

  constructor(private readonly store: SandboxStore) {}

  see(event: StateEvent, now: number): void {
    const { id } = event
    const before = this.sights.get(id)
    if (before === undefined) this.sorted = undefined
    this.changed.set(id, now)
    this.lookedUp.delete(id)
    const [kind, shown] =
      event.type === 'deleted'
        ? (['deleted', 'deleted'] as const)
        : event.type === 'error'
          ? (['error', event.error.code] as const)
          : (['state', event.state.state] as const)
    const stays = before !== undefined && before.now === shown && before.kind === kind
    this.sights.set(id, {
      id,
      now: shown,
      kind,
      since: stays ? before.since : now,
      // Of the first event nobody knows how long it is true already.
      isAtLeast: stays ? before.isAtLeast : before === undefined,
      holder: before?.holder ?? '',
    })
  }

  /** By id; those that were deleted some time ago go. */
  ids(now: number): readonly string[] {
    for (const { id, kind, since } of this.sights.values()) {
      if (kind !== 'deleted' || now - since < SHOWN_DELETED) continue
      this.sights.delete(id)
      this.lookedUp.delete(id)
      this.changed.delete(id)
      this.sorted = undefined
    }
    this.sorted ??= [...this.sights.keys()].sort()
    return this.sorted
  }

  sight(id: string): Sight | undefined {
    return this.sights.get(id)
  }

  /** How many there are of each: in the order of the states, then those that cannot be read. */
  counts(): ReadonlyMap<StateString | 'unreadable', number> {
    const counts = new Map<StateString | 'unreadable', number>(
      [...STATES, 'unreadable' as const].map(s => [s, 0]),
    )
    for (const { kind, now } of this.sights.values()) {
      const key = kind === 'error' ? 'unreadable' : STATES.find(state => state === now)
      if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return counts
  }

  /** Looks up who changed a sandbox last and who holds it, unless that was done just now. */
  async lookUp(id: string, now: number): Promise<void> {
    const sight = this.sights.get(id)
    const last = this.lookedUp.get(id)
    if (sight === undefined || (last !== undefined && now - last < REFRESH)) return
    this.lookedUp.set(id, now)
    const held = await holderOf(this.store, id)
    const holder = held === undefined ? '' : holderWords(held)
    const isFresh = now - (this.changed.get(id) ?? 0) < LINE_COMES
    const told = sight.kind === 'state' && (isFresh || sight.by === undefined) ? await this.past(sight) : {}
    // An event that came meanwhile knows better.
    if (this.sights.get(id) === sight) this.sights.set(id, { ...sight, holder, ...told })
    else this.lookedUp.delete(id)
  }

  private async past(sight: Sight): Promise<Partial<Sight>> {
    const entries = await orNothing(() => all(this.store.history(sight.id)), [])
    const last = entries.at(-1)
    if (last === undefined) return { by: '-' }
    if (last.to !== sight.now) return { by: 'not recorded' }
    const start = entries.findLast(({ from, to, gap }) => from !== to || gap === true) ?? entries[0] ?? last
    const isAtLeast = start.from === start.to
    return { by: whoWords(last), since: Date.parse(start.time), isAtLeast }
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** What cannot be looked up is not shown: the sandbox may be gone, or its backend may not tell. */
async function orNothing<T>(look: () => Promise<T>, nothing: T): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof StateStoreError) return nothing
    throw error
  }
}
