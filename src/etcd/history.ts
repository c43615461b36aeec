import type { HistoryEntry } from '../backend.js'
import type { Cluster } from './cluster.js'
import { endOf, type Keys } from './keys.js'
import { historyEntry, RECORDS } from './record.js'

/**
 * The recorded changes of a sandbox, oldest first, {@link RECORDS} at the most. A state's version counts its changes,
 * by whomever, and so does a record's number: one that is missing shows.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* historyInEtcd(
  cluster: Cluster,
  keys: Keys,
  id: string,
  deadline: number,
): AsyncGenerator<HistoryEntry, void, undefined> {
  const below = keys.historyOf(id)
  const requests = [{ key: keys.state(id) }, { key: below, end: endOf(below) }]
  const [[state] = [], records = []] = (await cluster.ranges(requests, deadline, id)).found
  if (state === undefined) return
  const numbered = records.flatMap(({ key, value }) => {
    const seq = /^\d{19}$/.test(key.slice(below.length)) ? BigInt(key.slice(below.length)) : 0n
    return seq === 0n ? [] : [{ seq, value }]
  })
  const newest = numbered.at(-1)?.seq ?? 0n
  // What is older than the oldest one kept has gone as it should.
  let told = newest > RECORDS ? newest - RECORDS : 0n
  for (const { seq, value } of numbered) {
    const entry = historyEntry(seq, value)
    if (entry === undefined) continue
    yield seq === told + 1n ? entry : { ...entry, gap: true }
    told = seq
  }
}
