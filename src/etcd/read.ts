import type { ListEntry, StateOrError, StoredSandbox } from '../backend.js'
import { ownError, type StateStoreError, withSubject } from '../errors.js'
import { isValidId } from '../sandbox-id.js'
import { decodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { Cluster, Scope } from './cluster.js'
import { failureOf } from './gateway-error.js'
import { timeOf } from './history.js'
import { type Keys, keysBelow } from './keys.js'
import type { KeyValue, RangeRequest } from './wire.js'

/** Keys in one answer. */
const PAGE = 128

/** @throws StateStoreError `IO_ERROR` */
export async function* entriesIn(cluster: Cluster, range: RangeRequest): AsyncIterable<KeyValue> {
  for await (const { entries } of pages(cluster, range)) yield* entries
}

/** @throws StateStoreError `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` */
export async function findEtcd(cluster: Cluster, id: string): Promise<StoredSandbox | undefined> {
  const { revision, ranges } = await cluster.read([{ key: cluster.keys.state(id) }], { id })
  const [[entry] = []] = ranges
  if (entry === undefined) return undefined
  const [time] = await timesOf(cluster, [entry], revision, { id })
  return stored(entry, id, time)
}

/** When each state was written, according to the records beside them: etcd itself keeps no times. */
async function timesOf(
  cluster: Cluster,
  entries: readonly KeyValue[],
  revision: bigint,
  scope?: Scope,
): Promise<(string | undefined)[]> {
  const keys = entries.map(({ key, version }) => cluster.keys.record(cluster.keys.idOf(key), version))
  const readAt = (at?: bigint) => {
    const requests = keys.map(key => ({ key, revision: at }))
    return cluster.read(requests, scope)
  }
  const { ranges } = await readAt(revision).catch((error: unknown) => {
    if (failureOf(error) === 'compacted') return readAt() // Some records may be gone by now, but none is wrong.
    throw error
  })
  return entries.map(({ modRevision }, i) => {
    const record = ranges[i]?.[0]
    // One that was not written together with the state belongs to an earlier sandbox.
    return record?.modRevision === modRevision ? timeOf(record.value) : undefined
  })
}

/** A state that another program wrote, without a record, counts as written just now, so that it is never pruned as old. */
function stored(entry: KeyValue, id: string, time = new Date().toISOString()): StoredSandbox {
  const state = decodeEntry(entry, id)
  return { id, state, changedAt: time, revision: String(entry.modRevision) }
}

/** @throws StateStoreError `IO_ERROR` */
export async function* listEtcd(cluster: Cluster): AsyncIterable<ListEntry> {
  for await (const { entries, revision } of pages(cluster, keysBelow(cluster.keys.states))) {
    const sandboxes = entries.filter(({ key }) => isValidId(cluster.keys.idOf(key)))
    if (sandboxes.length === 0) continue
    const times = await timesOf(cluster, sandboxes, revision)
    for (const [i, entry] of sandboxes.entries()) {
      const id = cluster.keys.idOf(entry.key)
      yield orError(id, () => stored(entry, id, times[i]))
    }
  }
}

/**
 * The entries of a range, sorted by key, with the revision at which they were read: the same for all pages. Only if etcd
 * compacts that away meanwhile, the remaining pages are read as they are then.
 * @throws StateStoreError `IO_ERROR`; the signal's reason
 */
export async function* pages(cluster: Cluster, range: RangeRequest, scope?: Scope) {
  let { key } = range
  let revision: bigint | undefined
  for (;;) {
    try {
      const answer = await cluster.read([{ ...range, key, revision, limit: PAGE }], scope)
      const [entries = []] = answer.ranges
      revision ??= answer.revision
      yield { entries, revision }
      if (entries.length < PAGE) return
      key = `${entries.at(-1)?.key}\0`
    } catch (error) {
      if (failureOf(error) !== 'compacted' || revision === undefined) throw error
      revision = undefined
    }
  }
}

/** A sandbox with its state, or the reason why it cannot be read; empty for a key that is not a sandbox's. */
export function stateEntries(keys: Keys, entry: KeyValue): readonly StateOrError[] {
  const id = keys.idOf(entry.key)
  return isValidId(id) ? [orError(id, () => ({ id, state: decodeEntry(entry, id) }))] : []
}

function orError<T>(id: string, read: () => T): T | { id: string; error: StateStoreError } {
  try {
    return read()
  } catch (error) {
    return { id, error: ownError(error) }
  }
}

/** @throws StateStoreError `CORRUPT_STATE` `INVALID_STATE` */
export function decodeEntry({ key, value }: KeyValue, id: string): SandboxState {
  return withSubject(`etcd's key ${key}`, { id, path: key }, () => decodeState(value))
}
