import { quoted, visible } from '../state/show.js'

/**
 * Why a request to etcd failed, as far as it matters to whoever asked:
 * - `undone`: it took no effect, and may if it is asked again;
 * - `unauthenticated`: it took no effect, for want of a token that holds;
 * - `refused`: it took no effect, and will not if it is asked again;
 * - `unusable`: it took no effect, because no etcd that we can speak to is at this address;
 * - `unknown`: it may have taken effect.
 */
export type Failure = 'undone' | 'unauthenticated' | 'refused' | 'unusable' | 'unknown'

export class GatewayError extends Error {
  override readonly name = 'GatewayError'

  constructor(
    readonly failure: Failure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }

  /** That etcd was asked for a revision that it has compacted away. */
  get isCompacted(): boolean {
    return this.failure === 'refused' && this.message.includes('has been compacted')
  }
}

/** What an answer other than 200 says. */
export function errorOfAnswer(status: number, answer: unknown, text: string): GatewayError {
  const failure = status >= 500 ? 'unknown' : 'unusable'
  return errorIn(answer) ?? new GatewayError(failure, `HTTP status ${status}, ${quoted(text.trim())}`)
}

/** The error that an answer, or one line of a stream, carries: gRPC's code and a message. */
export function errorIn(answer: unknown): GatewayError | undefined {
  const outer = fieldsOf(answer)
  // A stream's error is an object of its own, with other names in it.
  const { code, grpc_code = code, message, error } = { ...outer, ...fieldsOf(outer.error) }
  if (typeof grpc_code !== 'number') return undefined
  const text = [message, error].find(value => typeof value === 'string') ?? `gRPC status ${grpc_code}`
  return new GatewayError(failureOf(grpc_code, text), visible(text.slice(0, LONGEST_MESSAGE)))
}

/** That etcd ended a watch: it says why in words only. */
export function canceledWatch(reason: unknown): GatewayError {
  const text = typeof reason === 'string' ? reason : ''
  const shown = visible(text.slice(0, LONGEST_MESSAGE))
  return new GatewayError(failureOfWatch(text), `the watch was canceled (${shown})`)
}

function failureOfWatch(reason: string): Failure {
  if (/auth token|auth store|user name is empty/.test(reason)) return 'unauthenticated'
  return reason.includes('permission denied') ? 'refused' : 'unknown'
}

const LONGEST_MESSAGE = 300

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3
const RESOURCE_EXHAUSTED = 8
const UNAUTHENTICATED = 16
/** Not found, already exists, permission denied, failed precondition, out of range, unimplemented. */
const REFUSALS: ReadonlySet<number> = new Set([INVALID_ARGUMENT, 5, 6, 7, RESOURCE_EXHAUSTED, 9, 11, 12])

/** Of a token that is void since users were changed, and of none where one is needed. */
const TOKEN_WANTED = /auth store is old|user name is empty/

/** Only what etcd says before it proposes a request, or instead of applying it, is sure to have had no effect. */
function failureOf(code: number, message: string): Failure {
  if (code === UNAUTHENTICATED) return 'unauthenticated'
  if (code === INVALID_ARGUMENT && TOKEN_WANTED.test(message)) return 'unauthenticated'
  if (code === RESOURCE_EXHAUSTED && message.includes('too many requests')) return 'undone'
  return REFUSALS.has(code) ? 'refused' : 'unknown'
}
