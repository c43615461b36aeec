import type { ListEntry } from './backend.js'
import { StateStoreError } from './errors.js'
import { assertOptions, assertProgress, assertSignal } from './options.js'
import { encodeState } from './state/codec.js'
import type { SandboxStore } from './store.js'

/** What was done about one sandbox. */
export interface CopyProgress {
  /** The sandbox. */
  readonly id: string
  /** `same`: it was there already, just so, as after a copy that was interrupted. */
  readonly outcome: 'copied' | 'same' | 'failed'
  /** Sandboxes that are done with, this one included. */
  readonly done: number
  /** Of so many. */
  readonly total: number
}

/** How to copy. */
export interface CopyOptions {
  /** Called after each sandbox. */
  readonly onProgress?: (progress: CopyProgress) => void
  /** Ends the copy, with its reason, after the sandboxes that are under way. */
  readonly signal?: AbortSignal
}

/** What a copy came to. */
export interface CopyResult {
  /** How many sandboxes were made in the target. */
  readonly copied: number
  /** How many were there already, just so. */
  readonly same: number
  /** Those that could not be read, or that somebody else made in the target meanwhile; sorted by id. */
  readonly failed: readonly { readonly id: string; readonly error: StateStoreError }[]
}

/** Sandboxes under way at once: each waits for the disks, or the network. */
const AT_ONCE = 8

/**
 * Copies every sandbox of a store into another, in the state that it is in; its history begins anew there. Nothing
 * is overwritten: when a sandbox of the target has the id of one of the source's and not its state, nothing is copied
 * at all. A copy that was interrupted may simply be started again. What changes in the source meanwhile may be
 * missed: stop what writes to it before.
 * @param from the source, which is only read
 * @param to the target
 * @param options whom to tell, and what ends the copy
 * @throws StateStoreError `ALREADY_EXISTS` before anything is written; what reading the source or writing to the
 * target throws; what the signal was aborted with
 */
export async function copyStore(
  from: Pick<SandboxStore, 'list'>,
  to: SandboxStore,
  options: CopyOptions = {},
): Promise<CopyResult> {
  assertOptions(options, 'onProgress', 'signal')
  const { onProgress, signal } = options
  assertProgress(onProgress)
  assertSignal(signal)
  signal?.throwIfAborted()
  const plan = await planCopy(from, to, signal)
  refuseConflicts(plan)
  const outcomes = { copied: 0, same: 0, failed: 0 }
  const failed: { id: string; error: StateStoreError }[] = []
  const waiting = plan.values()
  let broken = false
  const work = async () => {
    for (const planned of waiting) {
      if (broken) return
      signal?.throwIfAborted()
      const { id } = planned
      const result = await copyOne(planned, to)
      if (result instanceof StateStoreError) failed.push({ id, error: result })
      const outcome = result instanceof StateStoreError ? 'failed' : result
      outcomes[outcome]++
      const done = outcomes.copied + outcomes.same + outcomes.failed
      onProgress?.({ id, outcome, done, total: plan.length })
    }
  }
  const stopAll = (error: unknown) => {
    broken = true
    throw error
  }
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => work().catch(stopAll)))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return {
    copied: outcomes.copied,
    same: outcomes.same,
    failed: failed.sort((a, b) => (a.id < b.id ? -1 : 1)),
  }
}

/** A sandbox of the source, and what a copy would do about it. */
export type PlannedCopy = ListEntry & {
  /**
   * `new`: make it in the target; `same`: nothing, since it is there already, just so; `conflict`: the target has it in
   * another state, so nothing at all; `unreadable`: leave it out.
   */
  readonly outcome: 'new' | 'same' | 'conflict' | 'unreadable'
}

/**
 * What {@link copyStore} would do, in the order of the source.
 * @param signal ends the look, with its reason
 */
export async function planCopy(
  from: Pick<SandboxStore, 'list'>,
  to: Pick<SandboxStore, 'list'>,
  signal?: AbortSignal,
): Promise<PlannedCopy[]> {
  const wanted: Encoded[] = []
  for await (const entry of from.list()) {
    signal?.throwIfAborted()
    wanted.push(encoded(entry))
  }
  const ids = new Set(wanted.map(({ entry }) => entry.id))
  const there = new Map<string, string | undefined>()
  for await (const entry of to.list()) {
    signal?.throwIfAborted()
    if (ids.has(entry.id)) there.set(entry.id, encoded(entry).text)
  }
  return wanted.map(({ entry, text }) => ({ ...entry, outcome: outcomeOf(entry.id, text, there) }))
}

interface Encoded {
  readonly entry: ListEntry
  /** Undefined when it cannot be read. */
  readonly text: string | undefined
}

function encoded(entry: ListEntry): Encoded {
  if ('error' in entry) return { entry, text: undefined }
  const { id, state } = entry
  try {
    return { entry, text: encodeState(state) }
  } catch (cause) {
    // A state that could be read may be too long with its characters escaped.
    if (!(cause instanceof StateStoreError)) throw cause
    const error = new StateStoreError(cause.code, `sandbox ${id}: ${cause.message}`, { id, cause })
    return { entry: { id, error }, text: undefined }
  }
}

function outcomeOf(
  id: string,
  text: string | undefined,
  there: ReadonlyMap<string, string | undefined>,
): PlannedCopy['outcome'] {
  if (!there.has(id)) return text === undefined ? 'unreadable' : 'new'
  return text !== undefined && text === there.get(id) ? 'same' : 'conflict'
}

function refuseConflicts(plan: readonly PlannedCopy[]): void {
  const [first, ...others] = plan.filter(({ outcome }) => outcome === 'conflict')
  if (first === undefined) return
  const { id } = first
  const more = others.length === 0 ? '' : `, and ${others.length} more`
  const message = `the target already has a sandbox ${id} in another state${more}; nothing was copied`
  throw new StateStoreError('ALREADY_EXISTS', message, { id })
}

async function copyOne(planned: PlannedCopy, to: SandboxStore): Promise<'copied' | 'same' | StateStoreError> {
  if ('error' in planned) return planned.error
  if (planned.outcome === 'same') return 'same'
  try {
    await to.adopt(planned.id, planned.state)
    return 'copied'
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'ALREADY_EXISTS') return error
    throw error
  }
}
