import { onAbort } from './abort.js'

/** What a Node timer can count, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Lets in the tasks of one key one after another, in the order in which they came; those of different keys side by side. */
export class KeyedQueue {
  /** For each key with a task under way, those that wait for it. */
  private readonly waiting = new Map<string, (() => void)[]>()

  /**
   * @param ms how long to wait at most
   * @param signal ends the wait, too
   * @returns undefined for a task that is in at once; else whether it got in in time. One that is in must {@link leave}.
   */
  enter(key: string, ms: number, signal?: AbortSignal): Promise<boolean> | undefined {
    const waiting = this.waiting.get(key)
    if (waiting === undefined) {
      this.waiting.set(key, [])
      return undefined
    }
    return new Promise(resolve => {
      const end = (isIn: boolean) => {
        clearTimeout(timer)
        takeBack?.()
        resolve(isIn)
      }
      const letIn = () => end(true)
      const giveUp = () => {
        waiting.splice(waiting.indexOf(letIn), 1)
        end(false)
      }
      waiting.push(letIn)
      const timer = setTimeout(giveUp, Math.min(ms, LONGEST_TIMER))
      const takeBack = signal && onAbort(signal, giveUp)
    })
  }

  leave(key: string): void {
    const next = this.waiting.get(key)?.shift()
    if (next === undefined) this.waiting.delete(key)
    else next()
  }
}
