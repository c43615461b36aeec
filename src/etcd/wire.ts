import { Buffer } from 'node:buffer'
import { canceledWatch } from './gateway-error.js'

// The messages of etcd's JSON gateway: keys and values in base64, 64-bit numbers as texts, and whatever is zero,
// false or empty left out. What comes back is checked before it is believed.

/** A key with its value, as etcd keeps it. */
export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
  /** The store's revision when it was written last. */
  readonly modRevision: bigint
  /** How often it was written since it was made: 1 for a new key. */
  readonly version: bigint
}

export interface RangeRequest {
  readonly key: string
  /** The first key after the range; without it, only the key itself. */
  readonly end?: string
  readonly limit?: number
  /** Of the past; now, without it. */
  readonly revision?: bigint
  readonly keysOnly?: boolean
}

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string; readonly end?: string }
  | ({ readonly kind: 'range' } & RangeRequest)

/** What is done when each of the keys was written last at the revision given, 0 for a key that is not there, or else. */
export interface Transaction {
  readonly compare: readonly { readonly key: string; readonly modRevision: bigint }[]
  readonly success: readonly Operation[]
  readonly failure: readonly Operation[]
}

export interface RangeAnswer {
  /** The store's revision. */
  readonly revision: bigint
  readonly found: readonly KeyValue[]
  /** Whether the limit cut it short. */
  readonly more: boolean
}

export interface TransactionAnswer {
  readonly revision: bigint
  readonly succeeded: boolean
  /** One for each operation; empty for those that are no range. */
  readonly found: readonly (readonly KeyValue[])[]
}

export interface WatchEvent {
  /** Without a value when the key was deleted. */
  readonly kind: 'put' | 'delete'
  readonly at: KeyValue
}

/** What a watch hears at once; a revision's events always come together. */
export type WatchAnswer =
  | { readonly kind: 'created' }
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[] }
  /** The revisions before this one are no more to be had. */
  | { readonly kind: 'compacted' }

export function rangeMessage({ key, end, limit, revision, keysOnly }: RangeRequest): object {
  return {
    key: base64(key),
    ...(end === undefined ? {} : { range_end: base64(end) }),
    ...(limit === undefined ? {} : { limit: String(limit) }),
    ...(revision === undefined ? {} : { revision: String(revision) }),
    ...(keysOnly ? { keys_only: true } : {}),
  }
}

export function transactionMessage({ compare, success, failure }: Transaction): object {
  return {
    compare: compare.map(({ key, modRevision }) => ({
      key: base64(key),
      target: 'MOD',
      result: 'EQUAL',
      mod_revision: String(modRevision),
    })),
    success: success.map(operationMessage),
    failure: failure.map(operationMessage),
  }
}

export function watchMessage(key: string, end: string | undefined, startRevision: bigint): object {
  const range = { key: base64(key), ...(end === undefined ? {} : { range_end: base64(end) }) }
  return { create_request: { ...range, start_revision: String(startRevision) } }
}

function operationMessage(operation: Operation): object {
  switch (operation.kind) {
    case 'put':
      return {
        request_put: { key: base64(operation.key), value: Buffer.from(operation.value).toString('base64') },
      }
    case 'delete': {
      const { key, end } = operation
      return {
        request_delete_range: { key: base64(key), ...(end === undefined ? {} : { range_end: base64(end) }) },
      }
    }
    case 'range':
      return { request_range: rangeMessage(operation) }
  }
}

export function readRangeAnswer(answer: unknown): RangeAnswer {
  const message = object(answer)
  return { revision: headerRevision(message), found: keyValues(message), more: message.more === true }
}

export function readTransactionAnswer(answer: unknown): TransactionAnswer {
  const message = object(answer)
  const found = list(message.responses).map(response => {
    const { response_range } = object(response)
    return response_range === undefined ? [] : keyValues(object(response_range))
  })
  return { revision: headerRevision(message), succeeded: message.succeeded === true, found }
}

export function readWatchAnswer(answer: unknown): WatchAnswer {
  const message = object(object(answer).result)
  if (message.canceled === true) {
    if (int64(message.compact_revision) > 0n) return { kind: 'compacted' }
    throw canceledWatch(message.cancel_reason)
  }
  if (message.created === true) return { kind: 'created' }
  return { kind: 'events', events: list(message.events).map(watchEvent) }
}

export function readToken(answer: unknown): string {
  const { token } = object(answer)
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw malformed('token')
  return token
}

function watchEvent(event: unknown): WatchEvent {
  const { type, kv } = object(event)
  return { kind: type === 'DELETE' ? 'delete' : 'put', at: keyValue(kv) }
}

function keyValues(message: Message): KeyValue[] {
  return list(message.kvs).map(keyValue)
}

function keyValue(given: unknown): KeyValue {
  const { key, value, mod_revision, version } = object(given)
  const modRevision = int64(mod_revision)
  if (modRevision === 0n) throw malformed('mod_revision')
  return {
    key: bytes(key).toString('latin1'),
    value: bytes(value),
    modRevision,
    version: int64(version),
  }
}

function headerRevision(message: Message): bigint {
  const revision = int64(object(message.header).revision)
  if (revision === 0n) throw malformed('revision')
  return revision
}

type Message = Readonly<Record<string, unknown>>

function object(value: unknown): Message {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('object')
  return value as Message
}

function list(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw malformed('list')
  return value
}

function int64(value: unknown): bigint {
  if (value === undefined) return 0n
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value)) throw malformed('number')
  return BigInt(value)
}

function bytes(value: unknown): Buffer {
  if (value === undefined) return Buffer.alloc(0)
  if (typeof value !== 'string') throw malformed('bytes')
  return Buffer.from(value, 'base64')
}

/** Ours are ASCII. A stranger's may be any bytes; this way each is one text, and back again. */
function base64(key: string): string {
  return Buffer.from(key, 'latin1').toString('base64')
}

function malformed(what: string): Error {
  return new Error(`the answer is not one of etcd's (${what})`)
}
