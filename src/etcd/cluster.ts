import { setMaxListeners } from 'node:events'
import { StateStoreError } from '../errors.js'
import type { EtcdAddress } from './address.js'
import { pause, retryDelay } from './backoff.js'
import { Endpoint, REQUEST_TIMEOUT } from './endpoint.js'
import { GatewayError } from './gateway-error.js'
import { Keys } from './keys.js'
import { checkEtcdOptions, type EtcdOptions } from './options.js'
import * as wire from './wire.js'

/** What a request is for. */
export interface Scope {
  /** The sandbox, for errors. */
  readonly id?: string | undefined
  /** The key that is read, for errors. */
  readonly key?: string | undefined
  /** On the clock of `performance.now()`; otherwise the cluster's timeout. */
  readonly deadline?: number
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
  /** Whether its connection does not keep the process from ending. */
  readonly background?: boolean
}

/** The members of an etcd that keeps a store: asks one of them, and another when that one fails. */
export class Cluster {
  readonly keys: Keys
  /** The same for all stores on the same keys. */
  readonly name: string
  private readonly options: EtcdOptions
  private readonly members: readonly Endpoint[]
  private readonly closing = new AbortController()
  private turn = 0
  private token: Promise<string | undefined> | undefined

  constructor(
    { origins, tls, prefix }: EtcdAddress,
    /** The option `etcd` of `openStore`. */
    etcd: unknown,
    /** How long a request goes on while no member answers it, in ms. */
    readonly timeout: number,
  ) {
    this.keys = new Keys(prefix)
    this.name = `${origins.toSorted().join()}${prefix}`
    this.options = checkEtcdOptions(etcd, tls)
    this.members = origins.map(origin => new Endpoint(origin, this.options))
    setMaxListeners(0, this.closing.signal)
  }

  /**
   * Reads several ranges at one revision.
   * @throws StateStoreError `IO_ERROR` `CLOSED`; the signal's reason
   */
  read(requests: readonly wire.RangeRequest[], scope?: Scope): Promise<wire.Result> {
    const success = requests.map(wire.range)
    const key = requests[0]?.key
    return this.transaction({ compare: [], success, failure: success }, { ...scope, key })
  }

  /**
   * A transaction that gets no answer is sent again unchanged. So one that writes must compare what it writes, to take
   * effect at most once, and when the result is `uncertain` its keys must show whether it did.
   * @throws StateStoreError `IO_ERROR` `CLOSED`; `OUTCOME_UNKNOWN` when it compares; the signal's reason
   */
  async transaction(transaction: wire.Transaction, scope: Scope): Promise<wire.Result> {
    const parse = (answer: unknown) => wire.parseResult(answer, transaction)
    const isChange = transaction.compare.length > 0
    const { result, uncertain } = await this.request('/v3/kv/txn', transaction, parse, scope, isChange)
    return { ...result, uncertain }
  }

  /**
   * A lease whose answer was lost ends by itself.
   * @throws StateStoreError `IO_ERROR` `CLOSED`
   */
  async grantLease(seconds: number, scope: Scope): Promise<wire.Lease> {
    const message = { TTL: String(seconds) }
    return (await this.request('/v3/lease/grant', message, wire.parseLease, scope)).result
  }

  /**
   * @returns whether etcd still had that lease
   * @throws StateStoreError `IO_ERROR` `CLOSED`; the signal's reason
   */
  async renewLease(lease: string, scope: Scope): Promise<boolean> {
    return (await this.request('/v3/lease/keepalive', { ID: lease }, wire.parseRenewal, scope)).result
  }

  /**
   * Asks one member after another until one answers.
   * @param isChange whether an answer that is lost leaves open what the sandbox is now
   * @returns `uncertain`: whether an earlier sending, whose answer was lost, may have taken effect
   */
  private async request<T>(
    path: string,
    message: object,
    parse: (answer: unknown) => T,
    scope: Scope,
    isChange = false,
  ): Promise<{ readonly result: T; readonly uncertain: boolean }> {
    const start = performance.now()
    const { signal, background, deadline = start + this.timeout } = scope
    const body = JSON.stringify(message)
    let uncertain = false
    let unusable = 0
    // Each member is tried once without delay; after that they all have trouble.
    for (let retry = 1 - this.members.length; ; retry++) {
      if (this.closing.signal.aborted) throw new StateStoreError('CLOSED', 'this store is closed')
      const member = this.current()
      const credentials = this.authenticate(deadline)
      try {
        const token = await credentials
        const answer = await member.post({ path, body, token, deadline, signal, background })
        return { result: parse(answer), uncertain }
      } catch (thrown) {
        signal?.throwIfAborted()
        const error = this.classify(thrown, member, credentials)
        const { failure } = error
        uncertain ||= failure === 'unknown'
        unusable = failure === 'unusable' ? unusable + 1 : 0
        const delay = retry < 0 ? 0 : retryDelay(retry)
        const final = failure === 'refused' || failure === 'compacted' || unusable >= this.members.length
        if (final || performance.now() + delay >= deadline) {
          const failed = ioError(error, member, scope, final ? 0 : performance.now() - start)
          throw uncertain && isChange ? outcomeUnknown(scope.id, failed) : failed
        }
        await pause(delay, signal ?? this.closing.signal, !background)
      }
    }
  }

  /**
   * Follows a range of keys from a revision on, for as long as one member serves it.
   * @throws StateStoreError `IO_ERROR` when that ends, unless the signal ends it
   */
  async *watch(request: wire.RangeRequest, scope: Scope): AsyncIterable<readonly wire.WatchEvent[]> {
    const member = this.current()
    const deadline = performance.now() + REQUEST_TIMEOUT
    const credentials = this.authenticate(deadline)
    const body = JSON.stringify(wire.watchMessage(request))
    try {
      const { signal, background } = scope
      const post = { path: '/v3/watch', body, token: await credentials, deadline, signal, background }
      for await (const answer of member.stream(post)) yield wire.parseWatch(answer)
    } catch (error) {
      throw ioError(this.classify(error, member, credentials), member, { ...scope, key: request.key })
    }
  }

  /** Ends everything under way with `CLOSED`. */
  close(): void {
    this.closing.abort()
    for (const member of this.members) member.close()
  }

  /**
   * Decides what a failure means. The next request goes to another member, with a new token if this one was invalid;
   * but without a user there are no tokens.
   */
  private classify(error: unknown, member: Endpoint, credentials: Promise<unknown>): GatewayError {
    if (!(error instanceof GatewayError)) throw error
    if (this.current() === member) this.turn++ // Once, however many requests to it fail.
    if (error.failure !== 'unauthenticated') return error
    if (this.token === credentials) this.token = undefined
    if (this.options.user !== undefined) return error
    return new GatewayError('refused', error.message, { cause: error })
  }

  /** The user's token, which all requests share. */
  private authenticate(deadline: number): Promise<string | undefined> {
    this.token ??= this.requestToken(deadline)
    return this.token
  }

  /** Undefined without a user, and where etcd has no users. */
  private async requestToken(deadline: number): Promise<string | undefined> {
    const { user, password } = this.options
    if (user === undefined) return undefined
    const body = JSON.stringify({ name: user, password })
    try {
      return wire.parseToken(await this.current().post({ path: '/v3/auth/authenticate', body, deadline }))
    } catch (error) {
      this.token = undefined
      if (!(error instanceof GatewayError)) throw error
      if (error.message.includes('authentication is not enabled')) return undefined
      // The request that needs the token has not been sent.
      const failure = error.failure === 'unknown' ? 'not applied' : error.failure
      throw new GatewayError(failure, error.message, { cause: error })
    }
  }

  private current(): Endpoint {
    const member = this.members[this.turn % this.members.length]
    if (member === undefined) throw new TypeError('an etcd has at least one member')
    return member
  }
}

/** @param cause a StateStoreError */
export function outcomeUnknown(id: string | undefined, cause: unknown): unknown {
  if (!(cause instanceof StateStoreError)) return cause
  const message = `sandbox ${id}: the change may or may not have taken effect: ${cause.message}`
  return new StateStoreError('OUTCOME_UNKNOWN', message, { id, cause })
}

/** @param waited for how long it was tried again, in ms */
function ioError(cause: GatewayError, { origin }: Endpoint, { id, key }: Scope, waited = 0): StateStoreError {
  const end = waited < 1000 ? '' : `; gave up after ${Math.round(waited / 1000)} s`
  return new StateStoreError('IO_ERROR', `etcd at ${origin}: ${cause.message}${end}`, {
    id,
    path: key,
    cause,
  })
}
