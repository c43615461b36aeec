import { onAbort } from './abort.js'

/** The longest delay of a Node timer, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Runs the tasks of one key one after another, in the order of their arrival; those of different keys side by side. */
export class KeyedQueue {
  /** For each key with a task under way, the tasks that wait for it. */
  private readonly waiting = new Map<string, (() => void)[]>()

  /**
   * Waits for the turn of a task, which then must {@link leave}.
   * @param ms how long to wait at most
   * @param signal ends the wait, too
   * @returns undefined if it is its turn at once; otherwise whether its turn came in time
   */
  enter(key: string, ms: number, signal?: AbortSignal): Promise<boolean> | undefined {
    const waiting = this.waiting.get(key)
    if (waiting === undefined) {
      this.waiting.set(key, [])
      return undefined
    }
    return new Promise(resolve => {
      let unsubscribe: (() => void) | undefined
      const end = (hasTurn: boolean) => {
        clearTimeout(timer)
        unsubscribe?.()
        resolve(hasTurn)
      }
      const letIn = () => end(true)
      const giveUp = () => {
        waiting.splice(waiting.indexOf(letIn), 1)
        end(false)
      }
      waiting.push(letIn)
      const timer = setTimeout(giveUp, Math.min(ms, LONGEST_TIMER))
      unsubscribe = signal && onAbort(signal, giveUp) // Calls it at once if the signal already is aborted.
    })
  }

  leave(key: string): void {
    const next = this.waiting.get(key)?.shift()
    if (next === undefined) this.waiting.delete(key)
    else next()
  }
}
