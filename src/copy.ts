import type { StateOrError } from './backend.js'
import { obstacleTo, ownError, StateStoreError, withSubject } from './errors.js'
import { assertOptions } from './options.js'
import { encodeState } from './state/codec.js'
import type { SandboxStore } from './store.js'

/** Where sandboxes are copied from: a store, or anything else that lists them. */
export interface CopySource {
  /** Every sandbox, sorted by id. */
  list(): AsyncIterable<StateOrError>
}

/** Progress of a copy: the outcome for one sandbox. */
export interface CopyProgress {
  /** The sandbox. */
  readonly id: string
  /** `same`: it was already there in just this state, as after a copy that was interrupted. */
  readonly outcome: 'copied' | 'same' | 'failed'
  /** Number of sandboxes done, this one included. */
  readonly done: number
  /** Total number of sandboxes. */
  readonly total: number
}

/** How to copy. */
export interface CopyOptions {
  /** Called after each sandbox. */
  readonly onProgress?: (progress: CopyProgress) => void
  /** Ends the copy, with its reason, after the sandboxes that are under way. */
  readonly signal?: AbortSignal
}

/** The outcome of a copy. */
export interface CopyResult {
  /** Number of sandboxes created in the target. */
  readonly copied: number
  /** Number of sandboxes that were already there in just this state. */
  readonly same: number
  /** Those that could not be read, or not be created in the target; sorted by id. */
  readonly failed: readonly { readonly id: string; readonly error: StateStoreError }[]
}

/** How many sandboxes are copied at once: each waits for the disks, or the network. */
const AT_ONCE = 8

/**
 * Copies every sandbox of a store into another, in its present state; its history begins anew there. Nothing is
 * overwritten: if the target has a sandbox with the same id in another state, nothing is copied at all. A copy that was
 * interrupted can simply be run again. Changes in the source meanwhile may be missed: stop its writers first.
 * @param from the source, which is only read
 * @param to the target
 * @param options a function to call with the progress, and a signal that ends the copy
 * @throws StateStoreError `ALREADY_EXISTS` before anything is written; what reading the source or writing to the
 * target throws, unless it concerns one sandbox only; what the signal was aborted with
 */
export async function copyStore(
  from: CopySource,
  to: SandboxStore,
  options: CopyOptions = {},
): Promise<CopyResult> {
  assertOptions(options, 'onProgress', 'signal')
  const { onProgress, signal } = options
  signal?.throwIfAborted()
  const plan = await planCopy(from, to, signal)
  refuseConflicts(plan)
  const counts = { copied: 0, same: 0, failed: 0 }
  const failed: { id: string; error: StateStoreError }[] = []
  // Several loops share one generator: when one of them throws, it is closed, which ends the others, too.
  const queue = (function* () {
    yield* plan
  })()
  const work = async () => {
    for (const planned of queue) {
      signal?.throwIfAborted()
      const { id } = planned
      const result = await copyOne(planned, to)
      const outcome = typeof result === 'string' ? result : 'failed'
      if (typeof result !== 'string') failed.push({ id, error: result })
      counts[outcome]++
      const done = counts.copied + counts.same + counts.failed
      onProgress?.({ id, outcome, done, total: plan.length })
    }
  }
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, work))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return { ...counts, failed: failed.sort((a, b) => (a.id < b.id ? -1 : 1)) }
}

async function copyOne(planned: PlannedCopy, to: SandboxStore): Promise<'copied' | 'same' | StateStoreError> {
  if ('error' in planned) return planned.error
  if (planned.outcome === 'same') return 'same'
  return (await obstacleTo(to.createWithState(planned.id, planned.state))) ?? 'copied'
}

/** A sandbox of the source, and what a copy would do about it. */
export type PlannedCopy = StateOrError & {
  /**
   * `new`: create it in the target; `same`: nothing, since it is already there in just this state; `conflict`: the target
   * has it in another state, so nothing at all; `unreadable`: leave it out.
   */
  readonly outcome: 'new' | 'same' | 'conflict' | 'unreadable'
}

/**
 * What {@link copyStore} would do, in the order of the source.
 * @param signal ends the planning, with its reason
 */
export async function planCopy(
  from: CopySource,
  to: CopySource,
  signal?: AbortSignal,
): Promise<PlannedCopy[]> {
  const wanted = new Map<string, ReturnType<typeof encoded>>()
  for await (const entry of from.list()) {
    signal?.throwIfAborted()
    wanted.set(entry.id, encoded(entry))
  }
  const there = new Map<string, string | undefined>()
  for await (const entry of to.list()) {
    signal?.throwIfAborted()
    if (wanted.has(entry.id)) there.set(entry.id, encoded(entry).text)
  }
  return Array.from(wanted, ([id, { entry, text }]) => {
    let outcome: PlannedCopy['outcome'] = text === undefined ? 'unreadable' : 'new'
    if (there.has(id)) outcome = text !== undefined && text === there.get(id) ? 'same' : 'conflict'
    return Object.assign({ id, outcome }, entry)
  })
}

/** An entry with the text of its state; without it when it cannot be read. */
function encoded(entry: StateOrError): { readonly entry: StateOrError; readonly text?: string } {
  if ('error' in entry) return { entry }
  const { id, state } = entry
  try {
    return { entry: { id, state }, text: withSubject(`sandbox ${id}`, { id }, () => encodeState(state)) }
  } catch (error) {
    // A state that could be read may exceed the limit once its characters are escaped.
    return { entry: { id, error: ownError(error) } }
  }
}

function refuseConflicts(plan: readonly PlannedCopy[]): void {
  const [id, ...others] = plan.flatMap(({ id, outcome }) => (outcome === 'conflict' ? [id] : []))
  if (id === undefined) return
  const more = others.length === 0 ? '' : `, and ${others.length} more`
  const message = `the target already has a sandbox ${id} in another state${more}; nothing was copied`
  throw new StateStoreError('ALREADY_EXISTS', message, { id })
}
