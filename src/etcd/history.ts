import { Buffer } from 'node:buffer'
import type { HistoryEntry } from '../backend.js'
import { thisProcess } from '../process-identity.js'
import { parseRecord } from '../record.js'
import { isTime, RECORDED_CHANGE } from '../recorded-change.js'
import { changedFields } from '../state/fields.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { visible } from '../state/show.js'
import type { Cluster } from './cluster.js'
import { fieldsOf, parseJson } from './gateway-error.js'
import { keysBelow } from './keys.js'

/** How many records of a sandbox are kept: the newest. */
export const MAX_RECORDS = 100n

/**
 * The record of an operation: of a change, stored beside the state, or of a deletion.
 * @param op the operation's id, which identifies a transaction whose answer was lost
 */
export function record(op: string, change: object, subject: object = {}): string {
  const { pid, host, command } = thisProcess()
  return JSON.stringify({ op, time: new Date().toISOString(), ...change, pid, host, command, ...subject })
}

/** The fields of a record that say what changed. */
export function differences(
  before: SandboxState | undefined,
  after: SandboxState,
  reason: string | undefined,
): object {
  const fields = before === undefined ? [] : changedFields(before, after)
  return {
    from: before?.state ?? null,
    to: after.state,
    ...(fields.length > 0 && { fields }),
    ...(reason !== undefined && { reason }),
  }
}

/** The operation that wrote a record; undefined when it is not a record. */
export function operationOf(record: Uint8Array): string | undefined {
  const { op } = parse(record)
  return typeof op === 'string' ? op : undefined
}

/** When a record was written; undefined when it does not say. */
export function timeOf(record: Uint8Array): string | undefined {
  const { time } = parse(record)
  return isTime(time) ? time : undefined
}

/** Who made a recorded change, for a message; undefined when the record does not say. */
export function authorOf(record: Uint8Array): string | undefined {
  const { pid, host, command } = parse(record)
  if (typeof pid !== 'number' || typeof host !== 'string' || typeof command !== 'string') return undefined
  return visible(`pid ${pid} on ${host.slice(0, 64)} (${command.slice(0, 100)})`)
}

/**
 * The recorded changes of a sandbox, oldest first, at most {@link MAX_RECORDS}. etcd counts every write of the state's
 * key, and a record's number is that count, so a change without a record shows.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* historyEtcd(cluster: Cluster, id: string): AsyncIterable<HistoryEntry> {
  const prefix = cluster.keys.historyOf(id)
  const requests = [{ key: cluster.keys.state(id) }, keysBelow(prefix)]
  const [[state] = [], records = []] = (await cluster.read(requests, { id })).ranges
  if (state === undefined) return
  const numbered = records.flatMap(({ key, value }) => {
    const number = key.slice(prefix.length)
    return /^(?!0+$)\d{19}$/.test(number) ? [{ seq: BigInt(number), value }] : []
  })
  const newest = numbered.at(-1)?.seq ?? 0n
  // Records older than these were removed by design: that is not a gap.
  let previous = newest > MAX_RECORDS ? newest - MAX_RECORDS : 0n
  for (const { seq, value } of numbered) {
    const change = parseRecord(textOf(value), RECORDED_CHANGE)
    if (change === undefined) continue // A change without a history, or nonsense.
    yield { seq: Number(seq), ...change, ...(seq !== previous + 1n && { gap: true }) }
    previous = seq
  }
}

function parse(record: Uint8Array): Readonly<Record<string, unknown>> {
  return fieldsOf(parseJson(textOf(record)))
}

function textOf(record: Uint8Array): string {
  return Buffer.from(record).toString('utf8')
}
