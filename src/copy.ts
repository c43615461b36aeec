import type { ListEntry } from './backend.js'
import { StateStoreError } from './errors.js'
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
  { onProgress, signal }: CopyOptions = {},
): Promise<CopyResult> {
  signal?.throwIfAborted()
  const entries: ListEntry[] = []
  for await (const entry of from.list()) entries.push(entry)
  const there = await alreadyThere(entries, to)
  const outcomes = { copied: 0, same: 0, failed: 0 }
  const failed: { id: string; error: StateStoreError }[] = []
  const waiting = entries.values()
  let broken = false
  const work = async () => {
    for (const entry of waiting) {
      if (broken) return
      signal?.throwIfAborted()
      const error = 'error' in entry ? entry.error : await copyOne(entry, there, to)
      if (error instanceof StateStoreError) failed.push({ id: entry.id, error })
      const outcome = error instanceof StateStoreError ? 'failed' : error
      outcomes[outcome]++
      const done = outcomes.copied + outcomes.same + outcomes.failed
      onProgress?.({ id: entry.id, outcome, done, total: entries.length })
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

/** The ids that are in the target just as in the source. */
async function alreadyThere(entries: readonly ListEntry[], to: SandboxStore): Promise<ReadonlySet<string>> {
  const wanted = new Map(entries.map(entry => [entry.id, textOf(entry)]))
  const same = new Set<string>()
  const others: string[] = []
  for await (const entry of to.list()) {
    const text = wanted.get(entry.id)
    if (text === undefined) {
      if (wanted.has(entry.id)) others.push(entry.id)
    } else if (text === textOf(entry)) same.add(entry.id)
    else others.push(entry.id)
  }
  const [id] = others
  if (id === undefined) return same
  const more = others.length === 1 ? '' : `, and ${others.length - 1} more`
  const message = `the target already has a sandbox ${id} in another state${more}; nothing was copied`
  throw new StateStoreError('ALREADY_EXISTS', message, { id })
}

function textOf(entry: ListEntry): string | undefined {
  return 'state' in entry ? encodeState(entry.state) : undefined
}

type Readable = Extract<ListEntry, { state: unknown }>

async function copyOne(
  { id, state }: Readable,
  there: ReadonlySet<string>,
  to: SandboxStore,
): Promise<'copied' | 'same' | StateStoreError> {
  if (there.has(id)) return 'same'
  try {
    await to.adopt(id, state)
    return 'copied'
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'ALREADY_EXISTS') return error
    throw error
  }
}
