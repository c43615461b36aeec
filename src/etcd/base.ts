import { alreadyExists, applyChange, type Change } from '../change.js'
import { StateStoreError } from '../errors.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { endOf, type Keys } from './keys.js'
import { changeRecord, deletionRecord, RECORDS } from './record.js'
import { stateIn } from './value.js'
import type { KeyValue, Operation, RangeRequest, Transaction, TransactionAnswer } from './wire.js'

/** What a change is made on top of. */
export interface Base {
  /** The store's revision when it was read. */
  readonly revision: bigint
  /** The state's key; undefined when there is no sandbox. */
  readonly state: KeyValue | undefined
  /** Of the key that deletions write; 0 when there was none yet. */
  readonly lastDeletion: bigint
}

/** What to read of a sandbox before it is changed. */
export function baseRequests(keys: Keys, id: string): RangeRequest[] {
  return [{ key: keys.state(id) }, { key: keys.deletions(id), keysOnly: true }]
}

/** What is there, in an answer to {@link baseRequests}. */
export function baseIn({ revision, found }: TransactionAnswer): Base {
  const [[state] = [], [deletion] = []] = found
  return { revision, state, lastDeletion: deletion?.modRevision ?? 0n }
}

/** A change of one sandbox on top of one base, to be made whole or not at all. */
export interface Attempt {
  readonly op: string
  readonly after: SandboxState | undefined
  /** The key that the change writes its operation's id to. */
  readonly recordKey: string
  /**
   * Takes effect once at the most, however often it is sent: it compares what it writes. When something else was
   * there, it reads the record that is at `recordKey`, and that of the change that came first.
   */
  readonly transaction: Transaction
}

/**
 * What a change makes of what is there.
 * @throws StateStoreError as `applyChange`, `CORRUPT_STATE` `INVALID_STATE`; what an update throws
 */
export function attemptOn(
  keys: Keys,
  id: string,
  change: Change,
  base: Base,
  op: string,
  history: boolean,
): Attempt {
  const before = stateBefore(change, base, id)
  const after = before === UNREADABLE ? undefined : applyChange(change, before, id)
  const states = { key: keys.state(id), modRevision: base.state?.modRevision ?? 0n }
  const deletions = { key: keys.deletions(id), modRevision: base.lastDeletion }
  const seq = (base.state?.version ?? 0n) + 1n
  const nextRecord = keys.record(id, seq)
  const recordKey = after === undefined ? deletions.key : nextRecord
  const success: Operation[] =
    after === undefined || before === UNREADABLE
      ? [
          { kind: 'delete', key: states.key },
          { kind: 'delete', key: keys.historyOf(id), end: endOf(keys.historyOf(id)) },
          { kind: 'put', key: recordKey, value: deletionRecord(op, id) },
        ]
      : [
          { kind: 'put', key: states.key, value: encodeState(after) },
          { kind: 'put', key: recordKey, value: changeRecord(op, before, after, history) },
          ...outdated(keys, id, seq),
        ]
  const transaction: Transaction = {
    compare: base.state === undefined ? [states, deletions] : [states],
    success,
    failure: [
      { kind: 'range', key: recordKey },
      { kind: 'range', key: nextRecord },
    ],
  }
  return { op, after, recordKey, transaction }
}

const UNREADABLE = 'unreadable'

/** A creation does not look into what is in its way, and a forced deletion need not understand it. */
function stateBefore(
  change: Change,
  { state }: Base,
  id: string,
): SandboxState | typeof UNREADABLE | undefined {
  if (state === undefined) return undefined
  if (change.kind === 'create') throw alreadyExists(id)
  try {
    return stateIn(state, id)
  } catch (error) {
    if (change.kind === 'delete' && change.force && error instanceof StateStoreError) return UNREADABLE
    throw error
  }
}

/** The records that go when one is added: those of an earlier sandbox of that id, and the oldest. */
function outdated(keys: Keys, id: string, seq: bigint): Operation[] {
  const all = keys.historyOf(id)
  if (seq === 1n) return [{ kind: 'delete', key: keys.record(id, 2n), end: endOf(all) }]
  if (seq <= RECORDS) return []
  return [{ kind: 'delete', key: all, end: keys.record(id, seq - RECORDS + 1n) }]
}
