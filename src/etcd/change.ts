import { randomUUID } from 'node:crypto'
import type { ChangeRequest } from '../backend.js'
import { alreadyExists } from '../change.js'
import { StateStoreError, withSubject } from '../errors.js'
import { assertOrphanOf } from '../owner.js'
import { authorship, recordOfChange } from '../recorded-change.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { pause, retryDelay } from './backoff.js'
import { type Cluster, outcomeUnknown } from './cluster.js'
import { authorOf, MAX_RECORDS, operationOf } from './history.js'
import { type Keys, keysBelow } from './keys.js'
import { type OwnerKeys, ownerOf } from './owner.js'
import { decodeEntry } from './read.js'
import { deleteRange, isAt, type KeyValue, put, type Result, range, type Transaction } from './wire.js'

/** What is to be done. Times are on the clock of `performance.now()`. */
export interface EtcdChange {
  readonly id: string
  readonly change: ChangeRequest
  readonly history: boolean
  /** Until when it starts over if other writers win. */
  readonly contentionDeadline: number
  /** Until when it waits for etcd. */
  readonly deadline: number
}

/** What a change starts from. */
interface Snapshot {
  /** The store's revision when it was read. */
  readonly revision: bigint
  /** The state's key; undefined when there is no sandbox. */
  readonly state: KeyValue | undefined
  /** The last write of the key for deletions; 0 when there was none yet. */
  readonly deletionRevision: bigint
  readonly owner: OwnerKeys
}

/** A change of a sandbox on top of a snapshot, which takes effect completely or not at all. */
interface Txn {
  /** Identifies the operation in the record that it writes. */
  readonly op: string
  readonly recordKey: string
  readonly after: SandboxState | undefined
  /**
   * Takes effect at most once, however often it is sent, because it compares what it writes. If something has changed,
   * it reads the record at `recordKey`, and that of the change that came first.
   */
  readonly transaction: Transaction
}

/**
 * One change of one sandbox: reads its state, applies the change to it, and writes the result if nobody else has
 * written meanwhile; otherwise it starts over.
 * @throws StateStoreError as `applyChange`; `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR`
 */
export async function changeEtcd(cluster: Cluster, request: EtcdChange): Promise<SandboxState | undefined> {
  for (let losses = 0; ; losses++) {
    request.change.signal?.throwIfAborted()
    const snapshot = await readSnapshot(cluster, request)
    const txn = buildTxn(cluster.keys, snapshot, request)
    const result = await cluster.transaction(txn.transaction, request)
    if (result.succeeded) return txn.after
    if (result.uncertain && (await wasCommitted(cluster, snapshot, txn, result, request))) return txn.after
    if (performance.now() >= request.contentionDeadline) throw lostToOthers(request.id, result)
    // At first about the time of a change.
    await pause(retryDelay(losses, 4, 48))
  }
}

async function readSnapshot(cluster: Cluster, request: EtcdChange, at?: bigint): Promise<Snapshot> {
  const { keys } = cluster
  const { id } = request
  const deletions = { key: keys.deletions(id), keysOnly: true }
  const wanted = [{ key: keys.state(id) }, deletions, { key: keys.owner(id) }, { key: keys.alive(id) }]
  const requests = wanted.map(each => ({ ...each, revision: at }))
  const { revision, ranges } = await cluster.read(requests, request)
  const [[state] = [], [lastDeletion] = [], [record] = [], [alive] = []] = ranges
  const deletionRevision = lastDeletion?.modRevision ?? 0n
  return { revision, state, deletionRevision, owner: { record, alive } }
}

function buildTxn(keys: Keys, snapshot: Snapshot, { id, change, history }: EtcdChange): Txn {
  if (change.ifOrphanOf !== undefined) assertOrphanOf(id, ownerOf(snapshot.owner), change.ifOrphanOf)
  const { before, after } = applyTo(snapshot.state, change, id)
  const op = randomUUID()
  const seq = (snapshot.state?.version ?? 0n) + 1n
  const [state, deletions, nextRecord] = [keys.state(id), keys.deletions(id), keys.record(id, seq)]
  const [owner, alive] = [keys.owner(id), keys.alive(id)]
  const compare = [isAt(state, snapshot.state?.modRevision ?? 0n)]
  if (snapshot.state === undefined) compare.push(isAt(deletions, snapshot.deletionRevision))
  if (change.ifOrphanOf !== undefined) compare.push(isAt(owner, snapshot.owner.record?.modRevision ?? 0n))
  const recordKey = after === undefined ? deletions : nextRecord
  const record = after && history ? recordOfChange(before, after, change.reason) : authorship()
  const encoded = after && withSubject(`sandbox ${id}`, { id }, () => encodeState(after))
  const success =
    encoded === undefined
      ? [deleteRange({ key: state }), deleteRange(keysBelow(keys.historyOf(id)))]
      : [put(state, encoded), ...removeOldRecords(keys, id, seq)]
  // A key for deletions serves several sandboxes.
  success.push(put(recordKey, JSON.stringify({ op, ...record, id: after ? undefined : id })))
  // A sandbox has no owner after it is created, deleted or reaped.
  if (snapshot.state === undefined || after === undefined || change.ifOrphanOf !== undefined)
    success.push(deleteRange({ key: owner }), deleteRange({ key: alive }))
  const failure = [range({ key: recordKey }), range({ key: nextRecord })]
  return { op, recordKey, after, transaction: { compare, success, failure } }
}

function applyTo(state: KeyValue | undefined, change: ChangeRequest, id: string) {
  // Neither a creation nor a forced deletion needs to understand the state that is there.
  if (state !== undefined && change.kind === 'create') throw alreadyExists(id)
  if (state !== undefined && change.force) return {}
  const before = state && decodeEntry(state, id)
  return { before, after: change.apply(before, state && String(state.modRevision)) }
}

/** Removes the records of an earlier sandbox with the same id, and the oldest record. */
function removeOldRecords(keys: Keys, id: string, seq: bigint): object[] {
  const { key, end } = keysBelow(keys.historyOf(id))
  if (seq === 1n) return [deleteRange({ key: keys.record(id, 2n), end })]
  if (seq <= MAX_RECORDS) return []
  return [deleteRange({ key, end: keys.record(id, seq - MAX_RECORDS + 1n) })]
}

/**
 * Whether a transaction that did not succeed was committed by an earlier sending, whose answer was lost. Looks for its
 * record: in the last answer, and then in etcd's past, at the first revision that differs from the snapshot. A
 * transaction compares all that it depends on, so if it was committed, it was at that revision.
 * @throws StateStoreError `OUTCOME_UNKNOWN` when that past is compacted away, or not available in time
 */
async function wasCommitted(
  cluster: Cluster,
  snapshot: Snapshot,
  { op, recordKey }: Txn,
  { revision, ranges: [lastRecord] }: Result,
  request: EtcdChange,
): Promise<boolean> {
  const isIn = (entries: readonly KeyValue[] = []) => entries.some(({ value }) => operationOf(value) === op)
  if (isIn(lastRecord)) return true
  try {
    let same = snapshot.revision
    let different = revision
    while (different - same > 1n) {
      const middle = (same + different) / 2n
      const { state, deletionRevision } = await readSnapshot(cluster, request, middle)
      const isSame = state?.modRevision === snapshot.state?.modRevision
      // Other sandboxes' deletions write that key as well, and matter only to a creation.
      if (isSame && (state !== undefined || deletionRevision === snapshot.deletionRevision)) same = middle
      else different = middle
    }
    const { ranges } = await cluster.read([{ key: recordKey, revision: different }], request)
    return isIn(ranges[0])
  } catch (error) {
    throw outcomeUnknown(request.id, error)
  }
}

function lostToOthers(id: string, { ranges }: Result): StateStoreError {
  const [winner] = ranges[1] ?? []
  const who = (winner && authorOf(winner.value)) ?? 'another writer'
  const message = `sandbox ${id} was changed by other writers each time before this change, the last time by ${who}`
  return new StateStoreError('LOCK_TIMEOUT', message, { id })
}
