import { tracingChannel } from 'node:diagnostics_channel'
import type { LockHolder } from './backend.js'
import type { ChangeKind } from './change.js'
import type { StateString } from './state/machine.js'

/** The name of the `node:diagnostics_channel` tracing channel on which every store reports its changes. */
export const CHANGE_CHANNEL = 'sandbox-state:change'

/**
 * What a change has come to: the message on each channel of `tracingChannel(CHANGE_CHANNEL)`. It is one object from
 * `start` to `asyncEnd`, and is completed on the way; on `asyncEnd` the change is over and its locks are released.
 */
export interface ChangeTrace {
  /** The sandbox. */
  readonly id: string
  /** What was asked for. */
  readonly kind: ChangeKind
  /** Why, as the caller said. */
  readonly reason?: string
  /** The state before, once it is known; null when there is no sandbox. */
  from?: StateString | null
  /** The state that was asked for, or that an update made; null for a deletion. */
  to?: StateString | null
  /** From the call to its end, in ms, with all waiting; from `asyncStart` and `error` on. */
  duration?: number
  /** Set when the change met a lock that another process held. */
  lockWait?: LockWait
  /** What the caller is given, when the change fails. A `StateStoreError`, or what an update threw. */
  readonly error?: unknown
}

/** A wait for locks of others. */
export interface LockWait {
  /** For how long they were in the way, in ms. */
  readonly duration: number
  /** The first in the way, as far as is known. */
  readonly holder: LockHolder
}

const changes = tracingChannel<ChangeTrace>(CHANGE_CHANNEL)
const channels = [changes.start, changes.end, changes.asyncStart, changes.asyncEnd, changes.error]

/** Makes a change, and publishes what came of it, if anybody listens. */
export function withDiagnostics<T>(
  { id, kind, reason }: { id: string; kind: ChangeKind; reason: string | undefined },
  make: (trace: ChangeTrace | undefined) => Promise<T>,
): Promise<T> {
  if (!channels.some(channel => channel.hasSubscribers)) return make(undefined)
  const trace: ChangeTrace = { id, kind, ...(reason !== undefined && { reason }) }
  const start = performance.now()
  return changes.tracePromise(async () => {
    try {
      return await make(trace)
    } finally {
      trace.duration = performance.now() - start
    }
  }, trace)
}
