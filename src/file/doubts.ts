import type { Sighting } from '../backend.js'

/** How long a file is left alone before the second look at it, in ms: in-place writers take less. */
const SECOND_LOOK = 25
/** How often it is put off because the file is being written again. */
const MOST_DELAYS = 3
/** Second looks at once: each may wait for a lock. */
const MOST_AT_ONCE = 16

interface Doubt {
  /** On the clock of `performance.now()`. */
  readonly due: number
  readonly version: string
  readonly delays: number
}

/** Sandboxes of which a look did not tell the state, to be looked at again. */
export class Doubts {
  /** In the order in which they are due. */
  private readonly waiting = new Map<string, Doubt>()
  private readonly underWay = new Set<string>()

  /** @param found is given what a second look found; undefined when it is out of date */
  constructor(
    private readonly lookAgain: (id: string) => Promise<Sighting>,
    private readonly found: (sighting: Sighting | undefined) => void,
  ) {}

  /** @param version the file's; while it changes, the second look waits a bit more */
  add(id: string, version: string): void {
    const before = this.waiting.get(id)
    if (before !== undefined && (before.version === version || before.delays === MOST_DELAYS)) return
    this.waiting.delete(id)
    const delays = before === undefined ? 0 : before.delays + 1
    this.waiting.set(id, { due: performance.now() + SECOND_LOOK, version, delays })
  }

  /** It is clear by now. */
  remove(id: string): void {
    this.waiting.delete(id)
    this.underWay.delete(id)
  }

  /** When {@link resolve} is to be called next. */
  get due(): number {
    const [next] = this.ready()
    return next === undefined ? Number.POSITIVE_INFINITY : next[1].due
  }

  /** Starts the second looks that are due. */
  resolve(): void {
    const now = performance.now()
    for (const [id, { due }] of this.ready()) {
      if (due > now) return
      this.waiting.delete(id)
      this.underWay.add(id)
      void this.resolveOne(id)
    }
  }

  private *ready(): Generator<[string, Doubt]> {
    for (const entry of this.waiting) {
      if (this.underWay.size >= MOST_AT_ONCE) return
      if (!this.underWay.has(entry[0])) yield entry
    }
  }

  private async resolveOne(id: string): Promise<void> {
    const sighting = await this.lookAgain(id)
    this.found(this.underWay.delete(id) ? sighting : undefined)
  }
}
