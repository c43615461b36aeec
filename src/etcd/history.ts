import type { HistoryEntry } from '../backend.js'
import { parseRecord } from '../record.js'
import { isTime, RECORDED_CHANGE } from '../recorded-change.js'
import { visible } from '../state/show.js'
import type { Cluster } from './cluster.js'
import { fieldsOf, parseJson } from './gateway-error.js'
import { keysBelow } from './keys.js'

/** How many records of a sandbox are kept: the newest. */
export const MAX_RECORDS = 100n

/** The operation that wrote a record; undefined when it is not a record. */
export function operationOf(record: Buffer): string | undefined {
  const { op } = parse(record)
  return typeof op === 'string' ? op : undefined
}

/** When a record was written; undefined when it does not say. */
export function timeOf(record: Buffer): string | undefined {
  const { time } = parse(record)
  return isTime(time) ? time : undefined
}

/** Who made a recorded change, for a message; undefined when the record does not say. */
export function authorOf(record: Buffer): string | undefined {
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
    const change = parseRecord(value.toString(), RECORDED_CHANGE)
    if (change === undefined) continue // A change without a history, or nonsense.
    yield { seq: Number(seq), ...change, ...(seq !== previous + 1n && { gap: true }) }
    previous = seq
  }
}

function parse(record: Buffer): Readonly<Record<string, unknown>> {
  return fieldsOf(parseJson(record.toString()))
}
