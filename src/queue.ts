/** Runs tasks of one key one after another, in the order in which they came; those of different keys side by side. */
export class KeyedQueue {
  private readonly tails = new Map<string, Promise<void>>()

  /** A first task begins at once. What awaits a task is that task's only one, or its error's stack would not lead on to the caller. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key)
    let end = nothing
    const tail = new Promise<void>(resolve => {
      end = resolve
    })
    this.tails.set(key, tail)
    return this.after(before, task, () => {
      if (this.tails.get(key) === tail) this.tails.delete(key)
      end()
    })
  }

  private async after<T>(
    before: Promise<void> | undefined,
    task: () => Promise<T>,
    end: () => void,
  ): Promise<T> {
    try {
      if (before !== undefined) await before
      return await task()
    } finally {
      end()
    }
  }
}

function nothing(): void {}
