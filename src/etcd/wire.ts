import { Buffer } from 'node:buffer'
import { errorIn, errorOfCode, GatewayError } from './gateway-error.js'

// The messages of etcd's JSON gateway: keys and values in base64, 64-bit numbers as strings, and zero, false and empty
// values omitted. Answers are checked before they are trusted; JSON.stringify drops what is undefined in a request.

/** A key with its value, as etcd keeps it. */
export interface KeyValue {
  readonly key: string
  readonly value: Buffer
  /** The store's revision at its last write. */
  readonly modRevision: bigint
  /** The number of writes since the key was created: 1 for a new key. */
  readonly version: bigint
}

export interface RangeRequest {
  readonly key: string
  /** The first key after the range; without it, only the key itself. */
  readonly end?: string | undefined
  readonly limit?: number
  /** A past revision; the present one without it. */
  readonly revision?: bigint | undefined
  readonly keysOnly?: boolean
}

/** If each condition holds, `success` is done, otherwise `failure`; all at once. */
export interface Transaction {
  /** Made by {@link isAt} and {@link exists}. */
  readonly compare: readonly object[]
  /** Made by {@link put}, {@link deleteRange} and {@link range}. */
  readonly success: readonly object[]
  readonly failure: readonly object[]
}

/** The result of a transaction that may have been sent more than once. */
export interface Result {
  /** The store's revision. */
  readonly revision: bigint
  readonly succeeded: boolean
  /** The entries of each operation; empty for those that are not ranges. */
  readonly ranges: readonly (readonly KeyValue[])[]
  /** Whether an earlier sending, whose answer was lost, may have taken effect. */
  readonly uncertain: boolean
}

/** A lease that was granted. */
export interface Lease {
  /** Its number. */
  readonly lease: string
  /** How long it lasts unless it is renewed, in ms: what was asked for, or the shortest that etcd grants. */
  readonly ttl: number
}

export interface WatchEvent {
  readonly kind: 'put' | 'delete'
  /** Without a value when the key was deleted. */
  readonly entry: KeyValue
}

/** The condition that a key's last write was at a revision; 0 stands for a key that does not exist. */
export function isAt(key: string, revision: bigint): object {
  return { key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: revision.toString() }
}

/** The condition that there is a key. */
export function exists(key: string): object {
  return { key: base64(key), target: 'VERSION', result: 'GREATER', version: '0' }
}

/** @param lease the number of the lease with which the key ends */
export function put(key: string, value: string, lease?: string): object {
  return { request_put: { key: base64(key), value: Buffer.from(value).toString('base64'), lease } }
}

export function deleteRange(request: Pick<RangeRequest, 'key' | 'end'>): object {
  return { request_delete_range: rangeMessage(request) }
}

export function range(request: RangeRequest): object {
  return { request_range: rangeMessage(request) }
}

function rangeMessage({ key, end, limit, revision, keysOnly }: RangeRequest) {
  return {
    key: base64(key),
    range_end: end === undefined ? undefined : base64(end),
    limit,
    revision: revision?.toString(),
    keys_only: keysOnly,
  }
}

export function watchMessage({ revision, ...keys }: RangeRequest): object {
  return { create_request: { ...rangeMessage(keys), start_revision: revision?.toString() } }
}

export function parseResult(answer: unknown, { success, failure }: Transaction): Omit<Result, 'uncertain'> {
  const { header, succeeded, responses } = object(answer)
  const each = list(responses)
  const ranges = (succeeded === true ? success : failure).map((operation, i) => {
    if (!('request_range' in operation)) return []
    return list(object(object(each[i]).response_range).kvs).map(parseEntry)
  })
  return { revision: revisionIn(object(header).revision), succeeded: succeeded === true, ranges }
}

/** The events of one revision always come together; the answer that opens a watch has no events. */
export function parseWatch(answer: unknown): readonly WatchEvent[] {
  const { canceled, compact_revision, cancel_reason, events } = object(object(answer).result)
  if (canceled === true) {
    const compacted = 'the revision has been compacted'
    const reason = int64(compact_revision) > 0n ? compacted : cancel_reason
    throw errorOfCode(undefined, `the watch was canceled: ${reason}`)
  }
  return list(events).map(event => {
    const { type, kv } = object(event)
    return { kind: type === 'DELETE' ? 'delete' : 'put', entry: parseEntry(kv) }
  })
}

export function parseLease(answer: unknown): Lease {
  const { ID, TTL } = object(answer)
  return { lease: int64(ID).toString(), ttl: Number(int64(TTL)) * 1000 }
}

/** Whether the lease was there to be renewed. */
export function parseRenewal(answer: unknown): boolean {
  const error = errorIn(answer)
  if (error !== undefined) throw error
  return int64(object(object(answer).result).TTL) > 0n
}

export function parseToken(answer: unknown): string {
  const { token } = object(answer)
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw malformed('token')
  return token
}

function parseEntry(given: unknown): KeyValue {
  const { key, value, mod_revision, version } = object(given)
  const modRevision = revisionIn(mod_revision)
  return { key: bytes(key).toString('latin1'), value: bytes(value), modRevision, version: int64(version) }
}

function revisionIn(value: unknown): bigint {
  const revision = int64(value)
  if (revision === 0n) throw malformed('revision')
  return revision
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('object')
  return { ...value }
}

function list(value: unknown = []): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed('list')
  return value
}

function int64(value: unknown = '0'): bigint {
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) throw malformed('number')
  return BigInt(value)
}

function bytes(value: unknown = ''): Buffer {
  if (typeof value !== 'string') throw malformed('bytes')
  return Buffer.from(value, 'base64')
}

/** Our keys are ASCII. Other programs' may be any bytes; latin1 maps each to one string and back. */
function base64(key: string): string {
  return Buffer.from(key, 'latin1').toString('base64')
}

/** An answer that makes no sense says nothing about the effect of the request. */
function malformed(what: string): GatewayError {
  return new GatewayError('unknown', `the answer is not one of etcd's (${what})`)
}
