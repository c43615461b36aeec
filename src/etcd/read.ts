import type { ListEntry } from '../backend.js'
import { StateStoreError, withSubject } from '../errors.js'
import { isValidId } from '../sandbox-id.js'
import { decodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { Cluster, Scope } from './cluster.js'
import { failureOf } from './gateway-error.js'
import { type Keys, keysBelow } from './keys.js'
import type { KeyValue, RangeRequest } from './wire.js'

/** Keys in one answer. */
const PAGE = 128

export interface Page {
  readonly entries: readonly KeyValue[]
  /** The revision at which they were read. */
  readonly revision: bigint
}

/** @throws StateStoreError `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` */
export async function readEtcd(cluster: Cluster, id: string): Promise<SandboxState | undefined> {
  const [[entry] = []] = (await cluster.read([{ key: cluster.keys.state(id) }], { id })).ranges
  return entry && decodeEntry(entry, id)
}

/** @throws StateStoreError `IO_ERROR` */
export async function* listEtcd(cluster: Cluster): AsyncIterable<ListEntry> {
  for await (const { entries } of pages(cluster, keysBelow(cluster.keys.states))) {
    for (const entry of entries) yield* listEntries(cluster.keys, entry)
  }
}

/**
 * The entries of a range, sorted by key, all as they were at one revision. Only if etcd compacts that away meanwhile,
 * the remaining pages are read as they are then.
 * @throws StateStoreError `IO_ERROR`; the signal's reason
 */
export async function* pages(cluster: Cluster, range: RangeRequest, scope?: Scope): AsyncIterable<Page> {
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

/** A sandbox with its state, or the reason why it cannot be read; none for a key that is not a sandbox's. */
export function listEntries(keys: Keys, entry: KeyValue): readonly ListEntry[] {
  const id = keys.idOf(entry.key)
  if (!isValidId(id)) return []
  try {
    return [{ id, state: decodeEntry(entry, id) }]
  } catch (error) {
    if (error instanceof StateStoreError) return [{ id, error }]
    throw error
  }
}

/** @throws StateStoreError `CORRUPT_STATE` `INVALID_STATE` */
export function decodeEntry({ key, value }: KeyValue, id: string): SandboxState {
  return withSubject(`etcd's key ${key}`, { id, path: key }, () => decodeState(value))
}
