import type { Sighting } from '../../backend.js'

/** How long a file is left alone before the second look at it, in ms: writing one in place takes less. */
const SECOND_LOOK = 25
/** How often the second look is put off because the file was written in the meantime. */
const MOST_DELAYS = 3
/** Second looks at once: each may wait for a lock. */
const MOST_AT_ONCE = 16

interface Doubt {
  /** When to look again, on the clock of `performance.now()`. */
  readonly due: number
  /** The file's, as it was when its state could not be told. */
  readonly version: string
  readonly delays: number
}

interface Looks {
  lookAgain(id: string): Promise<Sighting>
  versionNow(id: string): string
  /** Is given what a second look found; undefined when it is out of date. */
  found(sighting: Sighting | undefined): void
}

/** Sandboxes whose state a look could not tell, perhaps because the file was just being written in place. */
export class Doubts {
  /** In the order in which they are due. */
  private readonly waiting = new Map<string, Doubt>()
  private readonly underWay = new Set<string>()

  constructor(private readonly looks: Looks) {}

  add(id: string, version: string): void {
    if (!this.waiting.has(id)) this.wait(id, version, 0)
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
    for (const [id, { due, version, delays }] of this.ready()) {
      if (due > now) return
      this.waiting.delete(id)
      const versionNow = this.looks.versionNow(id)
      if (versionNow !== version && delays < MOST_DELAYS) this.wait(id, versionNow, delays + 1)
      else void this.resolveOne(id)
    }
  }

  private wait(id: string, version: string, delays: number): void {
    this.waiting.set(id, { due: performance.now() + SECOND_LOOK, version, delays })
  }

  private *ready(): Generator<[string, Doubt]> {
    for (const entry of this.waiting) {
      if (this.underWay.size >= MOST_AT_ONCE) return
      if (!this.underWay.has(entry[0])) yield entry
    }
  }

  private async resolveOne(id: string): Promise<void> {
    this.underWay.add(id)
    const sighting = await this.looks.lookAgain(id)
    this.looks.found(this.underWay.delete(id) ? sighting : undefined)
  }
}
