import { Buffer } from 'node:buffer'
import type { Owner } from '../backend.js'
import { processOf } from '../owner.js'
import { type ProcessIdentity, thisProcess } from '../process-identity.js'
import { parseRecord, type Shape } from '../record.js'
import { operationOf } from './history.js'
import type { KeyValue } from './wire.js'

/**
 * What is kept of the ownership of a sandbox. The record stays until the sandbox is released, reaped or deleted; the key
 * `alive` goes with the owner's lease, too. So a record without it is that of an orphan.
 */
export interface OwnerKeys {
  readonly record: KeyValue | undefined
  readonly alive: KeyValue | undefined
}

interface OwnerRecord extends ProcessIdentity {
  /** When the ownership was taken, in ISO 8601. */
  readonly since: string
}

/** @param op identifies the transaction that writes it, should its answer be lost */
export function ownerRecord(op: string): string {
  return JSON.stringify({ op, ...thisProcess(), since: new Date().toISOString() })
}

/** Who owns a sandbox, or owned it when it died; undefined when it is unowned. */
export function ownerOf({ record, alive }: OwnerKeys): Owner | undefined {
  const known = record && parseRecord(Buffer.from(record.value).toString('utf8'), RECORD)
  if (alive !== undefined) return { state: 'owned', ...(known && processOf(known)) }
  return known && { state: 'orphaned', ...processOf(known) }
}

export function wroteRecord(op: string, record: KeyValue | undefined): record is KeyValue {
  return record !== undefined && operationOf(record.value) === op
}

const isText = (value: unknown) => typeof value === 'string'

const RECORD: Shape<OwnerRecord> = {
  pid: value => Number.isSafeInteger(value) && Number(value) > 0,
  start: isText,
  boot: isText,
  pidns: value => value === undefined || isText(value),
  host: isText,
  command: isText,
  since: value => isText(value) && !Number.isNaN(Date.parse(String(value))),
}
