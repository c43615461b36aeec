import { tracingChannel } from 'node:diagnostics_channel'
import type { Apply, LockHolder } from './backend.js'
import type { Change, ChangeKind } from './change.js'
import type { StateString } from './state/machine.js'

/** The name of the `node:diagnostics_channel` tracing channel on which every store reports its changes. */
export const CHANGE_CHANNEL = 'sandbox-state:change'

/**
 * The progress of a change: the message on each channel of `tracingChannel(CHANGE_CHANNEL)`. It is one object from `start`
 * to `asyncEnd`, completed on the way; on `asyncEnd` the change is over and its locks are released.
 */
export interface ChangeTrace {
  /** The sandbox. */
  readonly id: string
  /** The kind of change. */
  readonly kind: ChangeKind
  /** The caller's reason. */
  readonly reason?: string
  /** The state before, once it is known; null when there is no sandbox. */
  from?: StateString | null
  /** The state that was requested, or that an update returned; null for a deletion. */
  to?: StateString | null
  /** From the call to its end, in ms, waits included; set from `asyncStart` and `error` on. */
  duration?: number
  /** Set when the change met a lock that another process held. */
  lockWait?: LockWait
  /** The caller's error, when the change fails: a `StateStoreError`, or what an update threw. */
  readonly error?: unknown
}

/** A wait for locks that other processes hold. */
export interface LockWait {
  /** How long the change waited, in ms. */
  readonly duration: number
  /** The first holder that it waited for, as far as is known. */
  readonly holder: LockHolder
}

const changes = tracingChannel<ChangeTrace>(CHANGE_CHANNEL)
const channels = [changes.start, changes.end, changes.asyncStart, changes.asyncEnd, changes.error]

/** Makes a change, and publishes its trace if anybody listens. */
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

/** The rules of a change, with the states before and after noted in the trace. */
export function traced(rules: Apply, change: Change, trace: ChangeTrace | undefined): Apply {
  if (trace === undefined) return rules
  return (current, revision) => {
    trace.from = current?.state ?? null
    if (change.kind === 'transition') trace.to = change.to
    const next = rules(current, revision)
    trace.to = next?.state ?? null
    return next
  }
}
