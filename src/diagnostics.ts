import { type Channel, channel } from 'node:diagnostics_channel'
import type { LockHolder } from './backend.js'
import type { Change } from './change.js'
import { type ErrorCode, StateStoreError } from './errors.js'
import type { StateString } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'

/** The names of the `node:diagnostics_channel` channels on which a store tells what its changes came to. */
export const CHANNELS = {
  /** A change was made: {@link ChangeMessage}. */
  change: 'sandbox-state:change',
  /** A change was refused because of the state that the sandbox was in: {@link ConflictMessage}. */
  conflict: 'sandbox-state:conflict',
  /** A change had to wait for others: {@link LockWaitMessage}. */
  lockWait: 'sandbox-state:lock-wait',
  /** A change failed in any other way: {@link ErrorMessage}. */
  error: 'sandbox-state:error',
} as const

interface Message {
  /** The sandbox. */
  readonly id: string
  /** What was asked for. */
  readonly kind: Change['kind']
  /** From the call to its end, in ms, with all waiting. */
  readonly duration: number
}

/** On {@link CHANNELS}.change: a change was made. */
export interface ChangeMessage extends Message {
  /** The state before: null for a create, absent for a deletion, which is not told what it deleted. */
  readonly from?: StateString | null
  /** The state after; null for a deletion. */
  readonly to: StateString | null
}

/** On {@link CHANNELS}.conflict: a change was refused because of what the sandbox was. */
export interface ConflictMessage extends Message {
  /** `ALREADY_EXISTS`, `NOT_FOUND`, `STATE_MISMATCH` or `INVALID_TRANSITION`. */
  readonly code: ErrorCode
  /** What the caller is given. */
  readonly error: StateStoreError
  /** The state that the caller expected. */
  readonly from?: string
  /** The state that was asked for. */
  readonly to?: string
}

/** On {@link CHANNELS}.error: a change failed in any other way. */
export interface ErrorMessage extends Message {
  /** Absent when an update function threw something of its own. */
  readonly code?: ErrorCode
  /** What the caller is given. */
  readonly error: unknown
}

/** On {@link CHANNELS}.lockWait: a change, whatever came of it, met a lock that another process held. */
export interface LockWaitMessage {
  /** The sandbox. */
  readonly id: string
  /** What was asked for. */
  readonly kind: Change['kind']
  /** For how long locks of others were in the way, in ms. */
  readonly duration: number
  /** Whether the change then gave up, with `LOCK_TIMEOUT`. */
  readonly timedOut: boolean
  /** Who was the first in the way, as far as that could be found out. */
  readonly holder: LockHolder
}

const change = channel(CHANNELS.change)
const conflict = channel(CHANNELS.conflict)
const failure = channel(CHANNELS.error)
const lockWait = channel(CHANNELS.lockWait)

const CONFLICTS: ReadonlySet<string> = new Set<ErrorCode>([
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'STATE_MISMATCH',
  'INVALID_TRANSITION',
])

/** Makes a change and tells what came of it, after its end, when its locks are released; if anybody listens. */
export async function told(
  id: string,
  asked: Change,
  make: (change: Change) => Promise<SandboxState | undefined>,
): Promise<SandboxState | undefined> {
  if (!(change.hasSubscribers || conflict.hasSubscribers || failure.hasSubscribers)) return make(asked)
  const before: Before = { from: undefined }
  const start = performance.now()
  try {
    const after = await make(noting(asked, before))
    publish(change, () => changeMessage(id, asked.kind, before, after, start))
    return after
  } catch (error) {
    const failed = isConflict(error) ? conflict : failure
    publish(failed, () => failureMessage(id, asked.kind, error, start))
    throw error
  }
}

/** The state before a change; undefined while not known. */
interface Before {
  from: StateString | null | undefined
}

/** The change, which also notes the state that it was made from. */
function noting(asked: Change, before: Before): Change {
  if (asked.kind === 'create') before.from = null
  if (asked.kind === 'transition') before.from = asked.from
  if (asked.kind !== 'update') return asked
  const update = (state: SandboxState) => {
    before.from = state.state
    return asked.update(state)
  }
  return { kind: 'update', update }
}

function changeMessage(
  id: string,
  kind: Change['kind'],
  { from }: Before,
  after: SandboxState | undefined,
  start: number,
): ChangeMessage {
  const to = after?.state ?? null
  return { id, kind, duration: performance.now() - start, ...(from === undefined ? {} : { from }), to }
}

function isConflict(error: unknown): error is StateStoreError {
  return error instanceof StateStoreError && CONFLICTS.has(error.code)
}

function failureMessage(
  id: string,
  kind: Change['kind'],
  error: unknown,
  start: number,
): ConflictMessage | ErrorMessage {
  const message = { id, kind, duration: performance.now() - start, error }
  if (!(error instanceof StateStoreError)) return message
  const { code, from, to } = error
  return { ...message, code, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

/** Whether anybody wants to know of waits; finding out who is in the way costs something. */
export function areLockWaitsWanted(): boolean {
  return lockWait.hasSubscribers
}

export function publishLockWait(message: LockWaitMessage): void {
  lockWait.publish(message)
}

function publish(to: Channel, message: () => object): void {
  if (to.hasSubscribers) to.publish(message())
}
