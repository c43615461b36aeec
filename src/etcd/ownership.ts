import type { Ownership } from '../backend.js'
import { StateStoreError } from '../errors.js'
import { alreadyOwned } from '../owner.js'
import { pause, retryDelay } from './backoff.js'
import { clock } from './clock.js'
import type { Cluster, Scope } from './cluster.js'
import { REQUEST_TIMEOUT } from './endpoint.js'
import { ownerOf } from './owner.js'
import { untilChanged } from './watch.js'
import { deleteRange, isAt, type KeyValue } from './wire.js'

/** What was taken. */
export interface Taken {
  readonly id: string
  /** That of the record's write. */
  readonly revision: bigint
  /** The number of the lease. */
  readonly lease: string
  /** How long it lasts unless it is renewed, in ms. */
  readonly ttl: number
  /** When it was asked for, on the `clock`. */
  readonly since: number
}

/**
 * Renews its lease until it is released or lost. Only the owner's own clock decides whether the lease is over: it counts
 * from before the last renewal was sent, so that it comes to its end before etcd does, whatever etcd says or does not say.
 */
export class EtcdOwnership implements Ownership {
  readonly fd = -1
  private readonly lost = new AbortController()
  /** Ends the requests that are under way. */
  private readonly over = new AbortController()
  private readonly scope: Scope
  private readonly timer: NodeJS.Timeout
  private renewed: number
  private isRenewing = false
  private releasing: Promise<void> | undefined

  constructor(
    private readonly cluster: Cluster,
    private readonly taken: Taken,
    private readonly onEnd: () => void,
  ) {
    const { id, since, ttl } = taken
    this.renewed = since
    this.scope = { id, signal: this.over.signal, background: true }
    this.timer = setInterval(() => this.look(), ttl / 40).unref()
    void this.followRecord()
  }

  get id(): string {
    return this.taken.id
  }

  get signal(): AbortSignal {
    this.isOver() // Who asks after the event loop was blocked is told before the timer is.
    return this.lost.signal
  }

  private get isHeld(): boolean {
    return !this.over.signal.aborted
  }

  private look(): void {
    const isDue = clock() - this.renewed >= this.taken.ttl / 3
    if (!this.isOver() && isDue && !this.isRenewing) void this.renew()
  }

  /** A fifth of the lease is left for clocks that differ, for a timer that is late, and for the owner to stop. */
  private isOver(): boolean {
    const { id, ttl } = this.taken
    const age = clock() - this.renewed
    if (age >= ttl * 0.8) this.lose(leaseEnded(id, `it was not renewed for ${(age / 1000).toFixed(1)} s`))
    return !this.isHeld
  }

  private async renew(): Promise<void> {
    const { id, lease } = this.taken
    this.isRenewing = true
    const sent = clock()
    try {
      const deadline = performance.now() + REQUEST_TIMEOUT
      if (await this.cluster.renewLease(lease, { ...this.scope, deadline })) this.renewed = sent
      else this.lose(leaseEnded(id, 'etcd no longer has it'))
    } catch {
      // It is tried again until the time is up.
    } finally {
      this.isRenewing = false
    }
  }

  /** Loses the ownership when somebody else writes or removes its record: etcd tells that at once. */
  private async followRecord(): Promise<void> {
    const { cluster, scope } = this
    const { id, revision } = this.taken
    const key = cluster.keys.owner(id)
    for (let next = revision + 1n; this.isHeld; ) {
      await untilChanged(cluster, { key, revision: next }, scope)
      await this.releasing?.catch(() => {}) // That removes it.
      try {
        const { revision: now, ranges } = await cluster.read([{ key }], scope)
        const [[record] = []] = ranges
        if (record?.modRevision !== revision) this.lose(record ? takenByOther(id, record) : removed(id))
        next = now + 1n
      } catch {
        await pause(retryDelay(4), scope.signal, false)
      }
    }
  }

  release(): Promise<void> {
    this.releasing ??= this.end().catch(error => {
      if (this.isOver()) return // It was lost meanwhile.
      this.releasing = undefined
      throw error
    })
    return this.releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /** What was lost is not released: the sandbox is another's, or an orphan. */
  private async end(): Promise<void> {
    if (this.isOver()) return
    const { id, revision } = this.taken
    const { keys } = this.cluster
    const [owner, alive] = [keys.owner(id), keys.alive(id)]
    // If the record is not ours any more, there is nothing to release, or this was sent before and took effect.
    const compare = [isAt(owner, revision)]
    const success = [deleteRange({ key: owner }), deleteRange({ key: alive })]
    await this.cluster.transaction({ compare, success, failure: [] }, { id })
    this.letGo()
  }

  private lose(why: StateStoreError): void {
    if (!this.isHeld) return
    this.letGo()
    this.lost.abort(why)
  }

  /** The lease ends by itself. */
  private letGo(): void {
    if (!this.isHeld) return
    clearInterval(this.timer)
    this.over.abort()
    this.onEnd()
  }
}

function leaseEnded(id: string, why: string): StateStoreError {
  return new StateStoreError('IO_ERROR', `sandbox ${id}: the lease of its owner is over: ${why}`, { id })
}

function removed(id: string): StateStoreError {
  const message = `sandbox ${id} was deleted, or reaped, while it was owned`
  return new StateStoreError('NOT_FOUND', message, { id })
}

function takenByOther(id: string, record: KeyValue): StateStoreError {
  return alreadyOwned(id, ownerOf({ record, alive: undefined }) ?? {})
}
