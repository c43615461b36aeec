import { StateStoreError } from '../errors.js'
import type { EtcdAddress } from './address.js'
import { pause, retryDelay } from './backoff.js'
import { Endpoint, REQUEST_TIMEOUT } from './endpoint.js'
import { GatewayError } from './gateway-error.js'
import type { EtcdOptions } from './options.js'
import {
  type RangeAnswer,
  type RangeRequest,
  rangeMessage,
  readRangeAnswer,
  readToken,
  readTransactionAnswer,
  readWatchAnswer,
  type Transaction,
  type TransactionAnswer,
  transactionMessage,
  type WatchAnswer,
  watchMessage,
} from './wire.js'

const RANGE = '/v3/kv/range'
const TRANSACTION = '/v3/kv/txn'

/** A request to whichever member answers it. */
interface Question<T> {
  readonly path: string
  readonly message: object
  readonly readAnswer: (answer: unknown) => T
  /** On the clock of `performance.now()`. */
  readonly deadline: number
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
}

/** What came of a request that may have been made more than once. */
export interface Reply<T> {
  readonly answer: T
  /** Whether an attempt before the one that was answered may have taken effect. */
  readonly doubtful: boolean
}

/** A request that was given up. */
export class RequestFailed extends Error {
  override readonly name = 'RequestFailed'

  constructor(
    /** Whether it may have taken effect all the same. */
    readonly doubtful: boolean,
    readonly reason: GatewayError,
    origin: string,
  ) {
    super(`etcd at ${origin}: ${reason.message}`, { cause: reason })
  }
}

/** The members of an etcd: asks one, and another when that one fails. */
export class Cluster {
  private readonly endpoints: readonly Endpoint[]
  private readonly closing = new AbortController()
  private turn = 0
  private token: Promise<string | undefined> | undefined

  constructor(
    { origins }: EtcdAddress,
    private readonly options: EtcdOptions,
  ) {
    this.endpoints = origins.map(origin => new Endpoint(origin, options))
  }

  /**
   * @param id the sandbox that it is about, for an error
   * @param signal ends it
   * @throws StateStoreError `IO_ERROR`; what the signal was aborted with
   */
  async range(
    request: RangeRequest,
    deadline: number,
    id?: string,
    signal?: AbortSignal,
  ): Promise<RangeAnswer> {
    const message = rangeMessage(request)
    const asked = this.call({ path: RANGE, message, readAnswer: readRangeAnswer, deadline, signal })
    return (await asked.catch(error => ioError(error, id, request.key))).answer
  }

  /**
   * Reads several ranges at one revision.
   * @param id as above
   * @throws StateStoreError `IO_ERROR`
   */
  async ranges(requests: readonly RangeRequest[], deadline: number, id?: string): Promise<TransactionAnswer> {
    const success = requests.map(request => ({ kind: 'range', ...request }) as const)
    const asked = this.transaction({ compare: [], success, failure: [] }, deadline)
    return (await asked.catch(error => ioError(error, id, requests[0]?.key))).answer
  }

  /**
   * Makes a transaction. One that gets no answer is sent again, just as it was: so it must be one that takes effect
   * once at the most, and whose keys tell, when the reply is `doubtful`, whether it has.
   * @throws RequestFailed
   */
  transaction(transaction: Transaction, deadline: number): Promise<Reply<TransactionAnswer>> {
    const message = transactionMessage(transaction)
    return this.call({ path: TRANSACTION, message, readAnswer: readTransactionAnswer, deadline })
  }

  /**
   * Follows a range of keys from a revision on, for as long as one member serves it.
   * @throws GatewayError when that ends, unless `signal` ends it
   */
  async *watch(
    key: string,
    end: string | undefined,
    startRevision: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<WatchAnswer, void, undefined> {
    const endpoint = this.current()
    const body = JSON.stringify(watchMessage(key, end, startRevision))
    const probe = { path: RANGE, body: JSON.stringify({ ...rangeMessage({ key }), serializable: true }) }
    let used: Promise<string | undefined> | undefined
    try {
      used = this.authenticated(performance.now() + REQUEST_TIMEOUT)
      for await (const answer of endpoint.stream('/v3/watch', body, await used, probe, signal)) {
        yield read(readWatchAnswer, answer)
      }
    } catch (error) {
      this.turnFrom(endpoint)
      throw error instanceof GatewayError ? this.judged(error, used) : error
    }
  }

  /** Ends whatever is under way, with `CLOSED`. */
  close(): void {
    this.closing.abort()
    for (const endpoint of this.endpoints) endpoint.close()
  }

  /** @throws RequestFailed; what the question's signal was aborted with */
  private async call<T>(question: Question<T>): Promise<Reply<T>> {
    const { deadline, signal } = question
    const body = JSON.stringify(question.message)
    let doubtful = false
    let unusable = 0
    for (let attempt = 0; ; attempt++) {
      if (this.closing.signal.aborted) throw closedError()
      const endpoint = this.current()
      const result = await this.attempt(endpoint, question, body)
      if (!(result instanceof GatewayError)) return { answer: result, doubtful }
      signal?.throwIfAborted()
      const { failure } = result
      doubtful ||= failure === 'unknown'
      unusable = failure === 'unusable' ? unusable + 1 : 0
      if (failure !== 'refused' && failure !== 'unauthenticated') this.turnFrom(endpoint)
      // Each member may be tried once without delay; after that they all have trouble.
      const delay = attempt + 1 < this.endpoints.length ? 0 : retryDelay(attempt + 1 - this.endpoints.length)
      const late = performance.now() + delay >= deadline
      if (late || failure === 'refused' || unusable >= this.endpoints.length) {
        throw new RequestFailed(doubtful, result, endpoint.origin)
      }
      await pause(delay, [this.closing.signal, signal])
    }
  }

  private async attempt<T>(
    endpoint: Endpoint,
    { path, readAnswer, deadline, signal }: Question<T>,
    body: string,
  ): Promise<T | GatewayError> {
    const used = this.authenticated(deadline)
    let token: string | undefined
    try {
      token = await used
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // What was to be authenticated was not even asked.
      return error.failure === 'unknown' ? new GatewayError('undone', error.message, { cause: error }) : error
    }
    try {
      return read(readAnswer, await endpoint.post(path, body, token, deadline, signal))
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      return this.judged(error, used)
    }
  }

  /** A token that does not hold, or no more, is asked for anew; but without a user there is none to ask for. */
  private judged(error: GatewayError, used: Promise<string | undefined> | undefined): GatewayError {
    if (error.failure !== 'unauthenticated') return error
    this.forget(used)
    if (this.options.user !== undefined) return error
    return new GatewayError('refused', error.message, { cause: error })
  }

  /** The token of the user, asked for when there is none; none without a user, or where etcd knows no users. */
  private authenticated(deadline: number): Promise<string | undefined> {
    const { user, password } = this.options
    if (user === undefined) return Promise.resolve(undefined)
    if (this.token !== undefined) return this.token
    const body = JSON.stringify({ name: user, password })
    const token = this.current()
      .post('/v3/auth/authenticate', body, undefined, deadline)
      .then(
        answer => read(readToken, answer),
        error => {
          if (error instanceof GatewayError && error.message.includes('authentication is not enabled')) {
            return undefined
          }
          throw error
        },
      )
    this.token = token
    token.catch(() => this.forget(token))
    return token
  }

  private forget(token: Promise<string | undefined> | undefined): void {
    if (this.token === token) this.token = undefined
  }

  private current(): Endpoint {
    const endpoint = this.endpoints[this.turn % this.endpoints.length]
    if (endpoint === undefined) throw new TypeError('an etcd has at least one member')
    return endpoint
  }

  /** Once for each failure, however many requests were under way to that member. */
  private turnFrom(endpoint: Endpoint): void {
    if (this.current() === endpoint) this.turn++
  }
}

/** An answer that makes no sense tells nothing of what the request did. */
function read<T>(readAnswer: (answer: unknown) => T, answer: unknown): T {
  try {
    return readAnswer(answer)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('unknown', String(error instanceof Error ? error.message : error), {
      cause: error,
    })
  }
}

function closedError(): StateStoreError {
  return new StateStoreError('CLOSED', 'this store is closed')
}

function ioError(error: unknown, id: string | undefined, path: string | undefined): never {
  if (!(error instanceof RequestFailed)) throw error
  throw new StateStoreError('IO_ERROR', error.message, { id, path, cause: error.reason })
}
