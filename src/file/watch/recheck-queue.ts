import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ioError } from '../../errno.js'
import type { StateStoreError } from '../../errors.js'
import { readSandbox } from '../read.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/** How long to wait before an unreadable file is read again, in ms: writing one in place takes less. */
const PAUSE = 25
/** How often it is read again before its error is reported. */
const RECHECKS = 3

interface Unreadable {
  /** The first error's message. */
  readonly message: string
  /** The number of rechecks to come. */
  left: number
  /** The error of the last recheck. */
  error?: StateStoreError
}

/** Sandboxes that could not be read, perhaps because their files were just being written in place. */
export class RecheckQueue {
  private readonly unreadable = new Map<string, Unreadable>()
  private running = false

  /** @param onRechecked called when rechecks have shown that a sandbox can be read, or confirmed that it cannot */
  constructor(
    private readonly root: string,
    private readonly onRechecked: (id: string) => void,
  ) {}

  /**
   * Adds a sandbox that could not be read.
   * @returns the error to report; undefined while there are rechecks to come
   */
  add(id: string, { message }: StateStoreError): StateStoreError | undefined {
    const known = this.unreadable.get(id)
    if (known?.message === message) return known.error
    this.unreadable.set(id, { message, left: RECHECKS })
    if (!this.running) void this.run()
    return undefined
  }

  /** Removes a sandbox that could be read, or does not exist. */
  remove(id: string): void {
    this.unreadable.delete(id)
  }

  clear(): void {
    this.unreadable.clear()
  }

  private async run(): Promise<void> {
    this.running = true
    for (;;) {
      const round = [...this.unreadable].filter(([, { left }]) => left > 0)
      if (round.length === 0) break
      await sleep(PAUSE, undefined, { ref: false })
      for (const [id, unreadable] of round) {
        if (this.unreadable.get(id) === unreadable) await this.recheck(id, unreadable)
        if (sliceExpired()) await yieldToEventLoop()
      }
    }
    this.running = false
  }

  /** Unlike the watch, `readSandbox` waits for the lock of a program that writes in place. */
  private async recheck(id: string, unreadable: Unreadable): Promise<void> {
    try {
      await readSandbox(this.root, id)
      this.unreadable.delete(id)
    } catch (error) {
      if (--unreadable.left > 0) return
      unreadable.error = ioError(error, 'read', id, join(this.root, id))
    }
    this.onRechecked(id)
  }
}
