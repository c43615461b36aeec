import { StateStoreError } from '../errors.js'
import { quoted, visible } from '../state/show.js'

/**
 * Why a request to etcd failed, as far as it decides what to do next:
 * - `not applied`: it had no effect, and may succeed if it is sent again;
 * - `unauthenticated`: it had no effect, because it needs a valid token;
 * - `refused`: it had no effect, and would be refused again;
 * - `compacted`: it asks for a revision that etcd has compacted away;
 * - `unusable`: it had no effect, because there is no etcd that we can talk to at this address;
 * - `unknown`: it may have taken effect.
 */
export type Failure = 'not applied' | 'unauthenticated' | 'refused' | 'compacted' | 'unusable' | 'unknown'

/** A request to one member that failed. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'

  constructor(
    readonly failure: Failure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Why etcd failed, from an error of a store; undefined for any other error. */
export function failureOf(error: unknown): Failure | undefined {
  const cause = error instanceof StateStoreError ? error.cause : undefined
  return cause instanceof GatewayError ? cause.failure : undefined
}

/** OpenSSL's and Node's codes for a handshake that failed, or a certificate that is not trusted. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/
/** A member rejects our own certificate; in TLS 1.3 that arrives only after we believe to be connected. */
const TLS_REFUSAL = /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA)/

/** A request that never reached a member had no effect; neither had one that failed in the TLS handshake. */
export function errorOfRequest(cause: unknown, sent: boolean): GatewayError {
  if (cause instanceof GatewayError) return cause
  const { message, code = '', reason } = cause as NodeJS.ErrnoException & { reason?: unknown }
  if (TLS_REFUSAL.test(code) || (!sent && TLS_FAILURE.test(code))) {
    return new GatewayError('unusable', `TLS: ${reason ?? message}`, { cause })
  }
  return new GatewayError(sent ? 'unknown' : 'not applied', message || code, { cause })
}

/** The error in a response with a status other than 200. */
export function errorOfResponse(status: number | undefined, text: string): GatewayError {
  const failure = (status ?? 0) >= 500 ? 'unknown' : 'unusable'
  const message = `HTTP status ${status}, ${quoted(text.trim())}`
  return errorIn(parseJson(text)) ?? new GatewayError(failure, message)
}

/** The error in an answer, or in one line of a stream: gRPC's code and a message. */
export function errorIn(answer: unknown): GatewayError | undefined {
  const outer = fieldsOf(answer)
  // A stream wraps its error in an object of its own, with other names.
  const { code, grpc_code = code, message = '' } = { ...outer, ...fieldsOf(outer.error) }
  return typeof grpc_code === 'number' ? errorOfCode(grpc_code, String(message)) : undefined
}

/** gRPC's status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const RESOURCE_EXHAUSTED = 8
const UNAUTHENTICATED = 16
/** Invalid argument, not found, already exists, permission denied, resource exhausted and so on: nothing was done. */
const REFUSALS: ReadonlySet<unknown> = new Set([3, 5, 6, 7, RESOURCE_EXHAUSTED, 9, 11, 12])

/**
 * The error that etcd describes by a message, and by gRPC's code where it gives one. Only what it reports before it
 * proposes a request, or instead of applying it, rules out an effect.
 */
export function errorOfCode(code: number | undefined, message: string): GatewayError {
  // The token was invalidated because users changed, or there was no token where one is required.
  const needsToken = /auth token|auth store is old|user name is empty/.test(message)
  let failure: Failure = 'unknown'
  if (code === UNAUTHENTICATED || needsToken) failure = 'unauthenticated'
  else if (code === RESOURCE_EXHAUSTED && message.includes('too many requests')) failure = 'not applied'
  else if (message.includes('has been compacted')) failure = 'compacted'
  else if (REFUSALS.has(code) || message.includes('permission denied')) failure = 'refused'
  return new GatewayError(failure, visible(message.slice(0, 300)) || `gRPC status ${code}`)
}

/** Undefined when it is not JSON, which the code that reads its fields reports. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The fields of an object; no fields for any other value. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
