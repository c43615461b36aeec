import { EventEmitter, once } from 'node:events'
import { pause, retryDelay } from './backoff.js'
import type { Cluster } from './cluster.js'
import type { RangeRequest } from './wire.js'

/** One watch of many keys for everyone who waits for one of them: each watch has a connection of its own. */
export class SharedWatch {
  /** Emits the key that has changed; an error, which ends every wait, when the watch was cut off. */
  private readonly changes = new EventEmitter().setMaxListeners(0)
  private watching: AbortController | undefined
  /** The first revision that the watch has not seen. */
  private next = 0n

  constructor(
    private readonly cluster: Cluster,
    private readonly range: RangeRequest,
    /** Whether its connection does not keep the process from ending. */
    private readonly background: boolean,
  ) {}

  /**
   * Waits until a key may have changed since a revision, or the signal is aborted. It returns, too, when the watch has
   * passed that revision before, or is cut off, so the caller must look.
   */
  async untilChanged(key: string, revision: bigint, signal?: AbortSignal): Promise<void> {
    if (this.watching === undefined) void this.watch(revision)
    else if (revision < this.next) return
    await once(this.changes, key, { signal }).catch(() => {})
    const isAwaited = this.changes.listenerCount('error') > 0 // Each wait listens to it.
    if (isAwaited) return
    this.watching?.abort()
    this.watching = undefined
  }

  private async watch(from: bigint): Promise<void> {
    const watching = new AbortController()
    this.watching = watching
    this.next = from
    const { range, background } = this
    const { signal } = watching
    try {
      for await (const events of this.cluster.watch({ ...range, revision: from }, { signal, background })) {
        for (const { entry } of events) {
          if (entry.modRevision >= this.next) this.next = entry.modRevision + 1n
          this.changes.emit(entry.key)
        }
      }
    } catch {
      await pause(retryDelay(4), signal, !background)
    }
    if (signal.aborted) return
    this.watching = undefined
    this.changes.emit('error')
  }
}
