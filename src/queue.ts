/** What a Node timer can count, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Lets in the tasks of one key one after another, in the order in which they came; those of different keys side by side. */
export class KeyedQueue {
  /** For each key with a task under way, those that wait for it. */
  private readonly waiting = new Map<string, (() => void)[]>()

  /**
   * @param ms how long to wait at most
   * @returns undefined for a task that is in at once; else whether it got in in time. One that is in must {@link leave}.
   */
  enter(key: string, ms: number): Promise<boolean> | undefined {
    const waiting = this.waiting.get(key)
    if (waiting === undefined) {
      this.waiting.set(key, [])
      return undefined
    }
    return new Promise(resolve => {
      const letIn = () => {
        clearTimeout(timer)
        resolve(true)
      }
      const giveUp = () => {
        waiting.splice(waiting.indexOf(letIn), 1)
        resolve(false)
      }
      const timer = setTimeout(giveUp, Math.min(ms, LONGEST_TIMER))
      waiting.push(letIn)
    })
  }

  leave(key: string): void {
    const next = this.waiting.get(key)?.shift()
    if (next === undefined) this.waiting.delete(key)
    else next()
  }
}
