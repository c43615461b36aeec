import type { Owner } from '../backend.js'
import { PROCESS_RECORD, processOf } from '../owner.js'
import { thisProcess } from '../process-identity.js'
import { parseRecord } from '../record.js'
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

/** @param op identifies the transaction that writes it, should its answer be lost */
export function ownerRecord(op: string): string {
  return JSON.stringify({ op, ...thisProcess(), since: new Date().toISOString() })
}

/** Who owns a sandbox, or owned it when it died; undefined when it is unowned. */
export function ownerOf({ record, alive }: OwnerKeys): Owner | undefined {
  const known = record && parseRecord(record.value.toString(), PROCESS_RECORD)
  if (alive !== undefined) return { state: 'owned', ...(known && processOf(known)) }
  return known && { state: 'orphaned', ...processOf(known) }
}

export function wroteRecord(op: string, record: KeyValue | undefined): record is KeyValue {
  return record !== undefined && operationOf(record.value) === op
}
