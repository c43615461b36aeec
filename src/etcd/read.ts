import type { ListEntry, Owner, StateOrError, StoredSandbox } from '../backend.js'
import { ownError, type StateStoreError, withSubject } from '../errors.js'
import { isValidId } from '../sandbox-id.js'
import { decodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { Cluster, Scope } from './cluster.js'
import { failureOf } from './gateway-error.js'
import { timeOf } from './history.js'
import { type Keys, keysBelow } from './keys.js'
import { ownerOf } from './owner.js'
import type { KeyValue, RangeRequest } from './wire.js'

/** Keys in one answer. etcd takes 128 requests at once: one for the record of each key, and two for the owners of all. */
const PAGE = 126

/** @throws StateStoreError `IO_ERROR` */
export async function* entriesIn(cluster: Cluster, range: RangeRequest): AsyncIterable<KeyValue> {
  for await (const { entries } of pages(cluster, range)) yield* entries
}

/** @throws StateStoreError `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` */
export async function findEtcd(cluster: Cluster, id: string): Promise<StoredSandbox | undefined> {
  const { revision, ranges } = await cluster.read([{ key: cluster.keys.state(id) }], { id })
  const [[entry] = []] = ranges
  if (entry === undefined) return undefined
  const [record] = await recordsOf(cluster, [entry], revision, { id })
  return stored(entry, id, record)
}

/** What is kept beside a state. */
interface Records {
  /** When it was written; undefined when that is not known. etcd itself keeps no times. */
  readonly time: string | undefined
  readonly owner: Owner | undefined
}

/** @param entries some states, sorted by key */
async function recordsOf(
  cluster: Cluster,
  entries: readonly KeyValue[],
  revision: bigint,
  scope?: Scope,
): Promise<Records[]> {
  const { keys } = cluster
  const ids = entries.map(({ key }) => keys.idOf(key))
  const wanted = [
    ...keys.ownersBetween(ids[0] ?? '', ids.at(-1) ?? ''),
    ...entries.map(({ version }, i) => ({ key: keys.record(ids[i] ?? '', version) })),
  ]
  const readAt = (at?: bigint) =>
    cluster.read(
      wanted.map(request => ({ ...request, revision: at })),
      scope,
    )
  const { ranges } = await readAt(revision).catch((error: unknown) => {
    if (failureOf(error) === 'compacted') return readAt() // Some records may be gone by now, but none is wrong.
    throw error
  })
  const [owners = [], living = [], ...changes] = ranges
  const [recordOf, aliveOf] = [owners, living].map(found => new Map(found.map(entry => [entry.key, entry])))
  return entries.map(({ modRevision }, i) => {
    const id = ids[i] ?? ''
    const change = changes[i]?.[0]
    // One that was not written together with the state belongs to an earlier sandbox.
    const time = change?.modRevision === modRevision ? timeOf(change.value) : undefined
    const owner = ownerOf({ record: recordOf?.get(keys.owner(id)), alive: aliveOf?.get(keys.alive(id)) })
    return { time, owner }
  })
}

/** A state that another program wrote, without a record, counts as written just now, so that it is never pruned as old. */
function stored(entry: KeyValue, id: string, records: Records | undefined): StoredSandbox {
  const state = decodeEntry(entry, id)
  const { time = new Date().toISOString(), owner } = records ?? {}
  return { id, state, changedAt: time, revision: String(entry.modRevision), ...(owner && { owner }) }
}

/** @throws StateStoreError `IO_ERROR` */
export async function* listEtcd(cluster: Cluster): AsyncIterable<ListEntry> {
  for await (const { entries, revision } of pages(cluster, keysBelow(cluster.keys.states))) {
    const sandboxes = entries.filter(({ key }) => isValidId(cluster.keys.idOf(key)))
    if (sandboxes.length === 0) continue
    const records = await recordsOf(cluster, sandboxes, revision)
    for (const [i, entry] of sandboxes.entries()) {
      const id = cluster.keys.idOf(entry.key)
      yield orError(id, () => stored(entry, id, records[i]))
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
