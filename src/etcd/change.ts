import { randomUUID } from 'node:crypto'
import type { Change } from '../change.js'
import { StateStoreError } from '../errors.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { yieldToOthers } from './backoff.js'
import { type Attempt, attemptOn, type Base, baseIn, baseRequests } from './base.js'
import { type Cluster, type Reply, RequestFailed } from './cluster.js'
import type { Keys } from './keys.js'
import { fateOf } from './past.js'
import { operationOf, whoMade } from './record.js'
import type { TransactionAnswer } from './wire.js'

/** When a change gives up, on the clock of `performance.now()`. */
export interface Deadlines {
  /** What was allowed for others, in ms, for the message. */
  readonly lockTimeout: number
  /** To be overtaken by others' changes. */
  readonly contention: number
  /** To be without an answer from etcd. */
  readonly answer: number
}

/**
 * One change of one sandbox: reads what is there, applies the change to it, and writes the result if what was read is
 * still there; if not, once more from what is there now.
 * @throws StateStoreError as `applyChange`; `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR`
 */
export async function changeInEtcd(
  cluster: Cluster,
  keys: Keys,
  id: string,
  change: Change,
  history: boolean,
  deadlines: Deadlines,
): Promise<SandboxState | undefined> {
  for (let overtaken = 0; ; overtaken++) {
    const base = baseIn(await cluster.ranges(baseRequests(keys, id), deadlines.answer, id))
    const attempt = attemptOn(keys, id, change, base, randomUUID(), history)
    const reply = await send(cluster, id, attempt, deadlines)
    if (reply.answer.succeeded || (await wasMade(cluster, keys, id, base, attempt, reply, deadlines))) {
      return attempt.after
    }
    if (performance.now() >= deadlines.contention) throw overtakenTooOften(id, reply.answer, deadlines)
    await yieldToOthers(overtaken)
  }
}

async function send(
  cluster: Cluster,
  id: string,
  { transaction }: Attempt,
  deadlines: Deadlines,
): Promise<Reply<TransactionAnswer>> {
  try {
    return await cluster.transaction(transaction, deadlines.answer)
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error
    if (error.doubtful) throw unknownOutcome(id, error.message, error.reason)
    throw new StateStoreError('IO_ERROR', error.message, { id, cause: error.reason })
  }
}

/** Whether an attempt that met something else was itself what made it so: an earlier sending of it, without an answer. */
async function wasMade(
  cluster: Cluster,
  keys: Keys,
  id: string,
  base: Base,
  attempt: Attempt,
  { answer, doubtful }: Reply<TransactionAnswer>,
  { answer: deadline }: Deadlines,
): Promise<boolean> {
  if (!doubtful) return false
  const [[record] = []] = answer.found
  if (record !== undefined && operationOf(record.value) === attempt.op) return true
  const fate = await fateOf(cluster, keys, base, attempt, deadline)
  if (fate === 'unknown') throw unknownOutcome(id, "etcd's history of that time is not to be had")
  return fate === 'made'
}

function unknownOutcome(id: string, reason: string, cause?: unknown): StateStoreError {
  const message = `sandbox ${id}: the change may have been made or not, its answer was lost: ${reason}`
  return new StateStoreError('OUTCOME_UNKNOWN', message, { id, cause })
}

function overtakenTooOften(
  id: string,
  { found }: TransactionAnswer,
  { lockTimeout }: Deadlines,
): StateStoreError {
  const [, [first] = []] = found
  const who = (first && whoMade(first.value)) ?? 'others'
  const message = `sandbox ${id} was changed each time by others, the last time by ${who}; gave up after ${lockTimeout / 1000} s`
  return new StateStoreError('LOCK_TIMEOUT', message, { id })
}
