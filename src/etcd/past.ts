import { setTimeout as sleep } from 'node:timers/promises'
import { retryDelay } from './backoff.js'
import type { Attempt, Base } from './base.js'
import type { Cluster } from './cluster.js'
import { endOf, type Keys } from './keys.js'
import { operationOf } from './record.js'
import type { WatchEvent } from './wire.js'

/** What became of a transaction whose answer was lost, as etcd's past tells. */
export type Fate = 'made' | 'not made' | 'unknown'

/**
 * Looks up what came next after a base in etcd's own history. An attempt compares all that it depends on, so it
 * was the very next to touch that, or it was not made and never will be.
 * @returns `unknown` when that part of the past is compacted away, or is not to be had before the deadline
 */
export async function fateOf(
  cluster: Cluster,
  keys: Keys,
  base: Base,
  attempt: Attempt,
  deadline: number,
): Promise<Fate> {
  const from = `${keys.prefix}/`
  for (let retry = 0; performance.now() < deadline; retry++) {
    const signal = AbortSignal.timeout(Math.max(1, Math.round(deadline - performance.now())))
    try {
      for await (const answer of cluster.watch(from, endOf(from), base.revision + 1n, signal)) {
        if (answer.kind === 'compacted') return 'unknown'
        const fate = answer.kind === 'events' ? fateIn(answer.events, attempt) : undefined
        if (fate !== undefined) return fate
      }
    } catch {
      // Another member may tell.
    }
    await sleep(Math.min(retryDelay(retry), Math.max(0, deadline - performance.now())))
  }
  return 'unknown'
}

function fateIn(events: readonly WatchEvent[], { op, recordKey, transaction }: Attempt): Fate | undefined {
  const compared = new Set(transaction.compare.map(({ key }) => key))
  const next = events.find(({ at }) => compared.has(at.key))?.at.modRevision
  if (next === undefined) return undefined
  const record = events.find(({ kind, at }) => {
    return kind === 'put' && at.key === recordKey && at.modRevision === next
  })
  return record !== undefined && operationOf(record.at.value) === op ? 'made' : 'not made'
}
