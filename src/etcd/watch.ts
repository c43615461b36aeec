import type { Sighting } from '../backend.js'
import { StateStoreError } from '../errors.js'
import { pause, retryDelay } from './backoff.js'
import type { Cluster } from './cluster.js'
import { GatewayError } from './gateway-error.js'
import { endOf, type Keys } from './keys.js'
import { entryOf, type Page, pagesBelow } from './list.js'
import type { KeyValue, WatchAnswer, WatchEvent } from './wire.js'

/** A watch that no member serves for so long ends with an error, in ms. */
const WATCH_PATIENCE = 60_000

/**
 * Follows one sandbox or all: first what is there, then every change, in order. When a connection breaks, the next
 * one goes on after the last event that came; when etcd no longer has what followed it, after what is there then.
 * @param patience how long one request for what is there may take, in ms
 * @throws StateStoreError `IO_ERROR`
 */
export async function* watchEtcd(
  cluster: Cluster,
  keys: Keys,
  id: string | undefined,
  patience: number,
  signal: AbortSignal,
): AsyncGenerator<Sighting, void, undefined> {
  const follower = new Follower(cluster, keys, id, patience, signal)
  let trouble: number | undefined
  for (let failures = 0; !signal.aborted; ) {
    try {
      if (!follower.isListed) yield* follower.list()
      for await (const answer of follower.listen()) {
        trouble = undefined
        failures = 0
        yield* follower.hear(answer)
        if (!follower.isListed) break
      }
    } catch (error) {
      if (signal.aborted) return
      trouble ??= performance.now()
      const reason = error instanceof StateStoreError ? error.cause : error
      const late = performance.now() - trouble > WATCH_PATIENCE
      if (isFinal(reason) || late || !follower.hasBegun) throw watchError(error, id)
      await pause(retryDelay(failures++), [signal])
    }
  }
}

/** What a watch knows: how far it has come. */
class Follower {
  /** The revision that comes after the last one that was heard; undefined when what is there must be listed. */
  private next: bigint | undefined
  /** When each sandbox that is there was written last. */
  private readonly known = new Map<string, bigint>()
  private begun = false

  constructor(
    private readonly cluster: Cluster,
    private readonly keys: Keys,
    private readonly id: string | undefined,
    private readonly patience: number,
    private readonly signal: AbortSignal,
  ) {}

  /** Whether it is known what is there, as of some revision. */
  get isListed(): boolean {
    return this.next !== undefined
  }

  /** Whether it ever was known. Until then, trouble is the caller's to know of. */
  get hasBegun(): boolean {
    return this.begun
  }

  /** What is there; of what was there before and is not, that it is gone. */
  async *list(): AsyncGenerator<Sighting> {
    const missing = new Set(this.known.keys())
    let first: bigint | undefined
    for await (const { found, revision } of this.pages()) {
      first ??= revision
      for (const at of found) {
        missing.delete(at.key)
        yield* this.sight(at)
      }
    }
    for (const key of missing) {
      this.known.delete(key)
      yield { id: this.keys.idOf(key), gone: true }
    }
    if (this.id !== undefined && !this.begun && this.known.size === 0) yield { id: this.id, gone: true }
    this.begun = true
    this.next = (first ?? 0n) + 1n
  }

  listen(): AsyncGenerator<WatchAnswer> {
    const { key, end } = this.range()
    return this.cluster.watch(key, end, this.next ?? 1n, this.signal)
  }

  /** The events that are news. Only what was heard moves the watch on. */
  *hear(answer: WatchAnswer): Generator<Sighting> {
    if (answer.kind === 'compacted') this.next = undefined
    if (answer.kind !== 'events') return
    for (const event of answer.events) {
      if (this.next === undefined || event.at.modRevision < this.next) continue
      yield* this.hearOne(event)
    }
    const last = answer.events.at(-1)?.at.modRevision
    if (last !== undefined && this.next !== undefined && last >= this.next) this.next = last + 1n
  }

  private *hearOne({ kind, at }: WatchEvent): Generator<Sighting> {
    if (kind === 'put') yield* this.sight(at)
    else if ((this.known.get(at.key) ?? 0n) < at.modRevision && this.known.delete(at.key)) {
      yield { id: this.keys.idOf(at.key), gone: true }
    }
  }

  private *sight(at: KeyValue): Generator<Sighting> {
    if ((this.known.get(at.key) ?? 0n) >= at.modRevision) return
    const entry = entryOf(this.keys, at)
    if (entry === undefined) return
    this.known.set(at.key, at.modRevision)
    yield entry
  }

  private async *pages(): AsyncGenerator<Page> {
    const { cluster, keys, id, patience, signal } = this
    if (id === undefined) yield* pagesBelow(cluster, keys.states, patience, { signal })
    else yield await cluster.range({ key: keys.state(id) }, performance.now() + patience, id, signal)
  }

  private range(): { key: string; end: string | undefined } {
    if (this.id !== undefined) return { key: this.keys.state(this.id), end: undefined }
    return { key: this.keys.states, end: endOf(this.keys.states) }
  }
}

/** Whether it is of no use to try again, with this member or another. */
function isFinal(reason: unknown): boolean {
  return !(reason instanceof GatewayError) || reason.failure === 'refused'
}

function watchError(error: unknown, id: string | undefined): unknown {
  if (!(error instanceof GatewayError)) return error
  return new StateStoreError('IO_ERROR', `etcd: ${error.message}`, { id, cause: error })
}
