import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long work without a wait of its own may keep the event loop, in ms. */
const LONGEST = 5

/** Lets the event loop turn now and then in the midst of long work: to await what is there already never does. */
export class Turn {
  private start = performance.now()

  /** True when it is time to `end` this turn. */
  isOver(): boolean {
    return performance.now() - this.start >= LONGEST
  }

  async end(): Promise<void> {
    await nextTurn()
    this.start = performance.now()
  }
}
