import { randomUUID } from 'node:crypto'
import type { OwnOptions } from '../backend.js'
import { notFound } from '../change.js'
import { alreadyOwned } from '../owner.js'
import { clock } from './clock.js'
import type { Cluster, Scope } from './cluster.js'
import { type OwnerKeys, ownerOf, ownerRecord, wroteRecord } from './owner.js'
import { EtcdOwnership } from './ownership.js'
import { decodeEntry } from './read.js'
import type { SharedWatch } from './shared-watch.js'
import { WATCH_TIMEOUT } from './watch.js'
import { exists, isAt, put, range } from './wire.js'

export interface EtcdOwnOptions extends OwnOptions {
  /** How long the lease lasts that is asked for, in seconds. */
  readonly leaseSeconds: number
  /** Watches of the records of all owners, and of the keys with their leases. */
  readonly watches: { readonly records: SharedWatch; readonly living: SharedWatch }
  /** Called when the ownership is over. */
  readonly onEnd: () => void
}

/**
 * Takes the ownership of a sandbox: a record, and a key with a lease, which is kept alive from now on; with `wait`, when
 * its present owner is gone.
 * @throws StateStoreError `OWNED` (without `wait`) `NOT_FOUND` `CORRUPT_STATE` `INVALID_STATE` `OUTCOME_UNKNOWN` `IO_ERROR`
 */
export async function ownEtcd(cluster: Cluster, id: string, options: EtcdOwnOptions): Promise<EtcdOwnership> {
  const { wait = false, signal, watches } = options
  let scope: Scope = { id, signal }
  for (;;) {
    const { revision, keys } = await readOwnerKeys(cluster, id, scope)
    if (keys.alive === undefined) {
      signal?.throwIfAborted()
      const taken = await take(cluster, id, keys, options)
      if (taken !== undefined) return taken
    } else {
      if (!wait) throw alreadyOwned(id, ownerOf(keys) ?? {})
      await watches.living.untilChanged(cluster.keys.alive(id), revision + 1n, signal)
      // A wait of hours can also wait for an election.
      scope = { id, signal, deadline: performance.now() + WATCH_TIMEOUT }
    }
  }
}

async function readOwnerKeys(cluster: Cluster, id: string, scope: Scope) {
  const { keys } = cluster
  const requests = [{ key: keys.state(id) }, { key: keys.owner(id) }, { key: keys.alive(id) }]
  const { revision, ranges } = await cluster.read(requests, scope)
  const [[state] = [], [record] = [], [alive] = []] = ranges
  if (state === undefined) throw notFound(id)
  decodeEntry(state, id)
  return { revision, keys: { record, alive } }
}

/**
 * The signal does not end this: the sandbox would be owned, and nobody would know it.
 * @returns undefined when another was faster, or the sandbox was deleted
 */
async function take(cluster: Cluster, id: string, { record }: OwnerKeys, options: EtcdOwnOptions) {
  const { keys } = cluster
  const since = clock() // The lease cannot begin earlier, and so not end earlier than counted from here.
  const { lease, ttl } = await cluster.grantLease(options.leaseSeconds, { id })
  const op = randomUUID()
  const [owner, alive] = [keys.owner(id), keys.alive(id)]
  const result = await cluster.transaction(
    {
      // Nobody comes alive without writing the record.
      compare: [exists(keys.state(id)), isAt(owner, record?.modRevision ?? 0n)],
      success: [put(owner, ownerRecord(op)), put(alive, op, lease)],
      failure: [range({ key: owner })],
    },
    { id },
  )
  const [[found] = []] = result.ranges
  // Its answer may have been lost, and then it failed when it was sent again.
  const isMade = result.succeeded || wroteRecord(op, found)
  if (!isMade) return undefined
  const revision = found?.modRevision ?? result.revision
  const { watches, onEnd } = options
  return new EtcdOwnership({ cluster, records: watches.records, id, revision, lease, ttl, since, onEnd })
}
