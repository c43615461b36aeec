import type { Ownership } from '../backend.js'
import { ownError, StateStoreError } from '../errors.js'
import { alreadyOwned } from '../owner.js'
import { pause, retryDelay } from './backoff.js'
import { clock } from './clock.js'
import type { Cluster, Scope } from './cluster.js'
import { REQUEST_TIMEOUT } from './endpoint.js'
import { ownerOf } from './owner.js'
import type { SharedWatch } from './shared-watch.js'
import { deleteRange, isAt, type KeyValue } from './wire.js'

/** What was taken. */
export interface Taken {
  readonly cluster: Cluster
  /** A watch of the records of all owners. */
  readonly records: SharedWatch
  readonly id: string
  /** The revision at which the record was written. */
  readonly revision: bigint
  /** The number of the lease. */
  readonly lease: string
  /** How long it lasts unless it is renewed, in ms. */
  readonly ttl: number
  /** When it was asked for, on the `clock`. */
  readonly since: number
  /** Called when it is over. */
  readonly onEnd: () => void
}

/**
 * Renews its lease until it is released or lost. Each ownership has a lease of its own: one whose request was sent but
 * never answered must end although the others go on. The owner's own clock decides when the lease is over, counting from
 * before the last renewal was sent, so it ends here before it ends in etcd.
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
  /** Why the lease was not renewed the last time. */
  private lastFailure: StateStoreError | undefined
  private releasing: Promise<void> | undefined

  constructor(private readonly taken: Taken) {
    const { id, since, ttl } = taken
    this.renewed = since
    this.scope = { id, signal: this.over.signal, background: true }
    this.timer = setInterval(() => this.renewIfDue(), ttl / 40).unref()
    void this.followRecord()
  }

  get id(): string {
    return this.taken.id
  }

  get signal(): AbortSignal {
    this.loseIfExpired() // The timer may be late, as when the event loop was blocked.
    return this.lost.signal
  }

  private get isHeld(): boolean {
    return !this.over.signal.aborted
  }

  private renewIfDue(): void {
    this.loseIfExpired()
    const isDue = clock() - this.renewed >= this.taken.ttl / 3
    if (this.isHeld && isDue && !this.isRenewing) void this.renew()
  }

  /** A fifth of the lease is left for clocks that differ, for a timer that is late, and for the owner to stop. */
  private loseIfExpired(): void {
    const { id, ttl } = this.taken
    const age = clock() - this.renewed
    if (age < ttl * 0.8) return
    this.lose(leaseEnded(id, `it was not renewed for ${(age / 1000).toFixed(1)} s`, this.lastFailure))
  }

  private async renew(): Promise<void> {
    const { cluster, id, lease } = this.taken
    this.isRenewing = true
    const sent = clock()
    try {
      const deadline = performance.now() + REQUEST_TIMEOUT
      const isThere = await cluster.renewLease(lease, { ...this.scope, deadline })
      if (!isThere) return this.lose(leaseEnded(id, 'etcd no longer has it'))
      this.renewed = sent
      this.lastFailure = undefined
    } catch (error) {
      if (this.isHeld) this.lastFailure = ownError(error) // It is tried again until the time is up.
    } finally {
      this.isRenewing = false
    }
  }

  /** Loses the ownership when somebody else writes or removes its record, which the watch reports at once. */
  private async followRecord(): Promise<void> {
    const { scope } = this
    const { cluster, records, id, revision } = this.taken
    const key = cluster.keys.owner(id)
    for (let next = revision + 1n; this.isHeld; ) {
      await records.untilChanged(key, next, scope.signal)
      try {
        const { revision: now, ranges } = await cluster.read([{ key }], scope)
        const [[record] = []] = ranges
        await this.releasing?.catch(() => {}) // It may be our own release that removed the record.
        if (record?.modRevision !== revision) this.lose(record ? takenByOther(id, record) : removed(id))
        next = now + 1n
      } catch {
        await pause(retryDelay(4), scope.signal, false)
      }
    }
  }

  release(): Promise<void> {
    this.releasing ??= this.end().catch(error => {
      this.loseIfExpired()
      if (!this.isHeld) return // It was lost meanwhile.
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
    this.loseIfExpired()
    if (!this.isHeld) return
    const { cluster, id, revision } = this.taken
    const { keys } = cluster
    const [owner, alive] = [keys.owner(id), keys.alive(id)]
    // If the record is not ours any more, there is nothing to release, or this was sent before and took effect.
    const compare = [isAt(owner, revision)]
    const success = [deleteRange({ key: owner }), deleteRange({ key: alive })]
    await cluster.transaction({ compare, success, failure: [] }, { id })
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
    this.taken.onEnd()
  }
}

function leaseEnded(id: string, why: string, cause?: StateStoreError): StateStoreError {
  const because = cause === undefined ? why : `${why}: ${cause.message}`
  return new StateStoreError('IO_ERROR', `sandbox ${id}: the lease of its owner is over: ${because}`, {
    id,
    cause,
  })
}

function removed(id: string): StateStoreError {
  const message = `sandbox ${id} was deleted, or reaped, while it was owned`
  return new StateStoreError('NOT_FOUND', message, { id })
}

function takenByOther(id: string, record: KeyValue): StateStoreError {
  return alreadyOwned(id, ownerOf({ record, alive: undefined }) ?? {})
}
