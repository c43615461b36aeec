import type { Observation } from '../backend.js'
import { pause, retryDelay } from './backoff.js'
import type { Cluster } from './cluster.js'
import { failureOf } from './gateway-error.js'
import { keysBelow } from './keys.js'
import { pages, stateEntries } from './read.js'
import type { KeyValue } from './wire.js'

/** A watch that no member serves for this long ends with an error, in ms. */
export const WATCH_TIMEOUT = 60_000

/**
 * Follows one sandbox or all: first their present states, then every change, in order. When a connection breaks, the
 * next one continues after the last event that arrived; if etcd has compacted that away, after the present states.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* watchEtcd(
  cluster: Cluster,
  id: string | undefined,
  signal: AbortSignal,
): AsyncIterable<Observation> {
  const { keys } = cluster
  const range = id === undefined ? keysBelow(keys.states) : { key: keys.state(id) }
  const scope = { id, signal }
  /** The keys whose absence is to be reported. */
  const known = new Set(id === undefined ? [] : [range.key])
  /** The first revision that has not been seen; undefined when the present states must be listed. */
  let next: bigint | undefined

  function* observe(entry: KeyValue): Iterable<Observation> {
    const listed = stateEntries(keys, entry)
    if (listed.length > 0) known.add(entry.key)
    yield* listed
  }

  function* remove(key: string): Iterable<Observation> {
    if (known.delete(key)) yield { id: keys.idOf(key), deleted: true }
  }

  /** @returns the revision to go on from; undefined when etcd compacted the list away while it was read */
  async function* list(): AsyncGenerator<Observation, bigint | undefined, undefined> {
    const missing = new Set(known)
    let listed: bigint | undefined
    for await (const { entries, revision } of pages(cluster, range, scope)) {
      listed ??= revision
      if (revision !== listed) return undefined
      for (const entry of entries) {
        missing.delete(entry.key)
        yield* observe(entry)
      }
    }
    for (const key of missing) yield* remove(key)
    return (listed ?? 0n) + 1n
  }

  let hasListed = false
  let failingSince: number | undefined
  for (let failures = 0; !signal.aborted; ) {
    try {
      next ??= yield* list()
      if (next === undefined) continue
      hasListed = true
      for await (const events of cluster.watch({ ...range, revision: next }, scope)) {
        failingSince = undefined
        failures = 0
        for (const { kind, entry } of events) {
          if (entry.modRevision < next) continue // A member may repeat old events.
          if (kind === 'put') yield* observe(entry)
          else yield* remove(entry.key)
        }
        const last = events.at(-1)?.entry.modRevision ?? 0n
        if (last >= next) next = last + 1n
      }
    } catch (error) {
      if (signal.aborted) return
      const failure = failureOf(error)
      if (failure === 'compacted') next = undefined
      failingSince ??= performance.now()
      // Until the first list, an error is the caller's to handle.
      const isFinal = failure === undefined || failure === 'refused' || !hasListed
      if (isFinal || performance.now() - failingSince > WATCH_TIMEOUT) throw error
      await pause(retryDelay(failures++), signal)
    }
  }
}
