import type { Change } from './change.js'
import type { SandboxState } from './state/sandbox-state.js'

/** One row of a listing: a sandbox's state, or why it cannot be told. */
export type ListEntry =
  | { readonly id: string; readonly state: SandboxState }
  | { readonly id: string; readonly error: import('./errors.js').StateStoreError }

/**
 * What keeps the states: files, or a server. It knows nothing of what the states mean; a change brings its rules.
 * Ids are checked by the caller. Errors are StateStoreError.
 */
export interface Backend {
  /** @returns undefined when there is no such sandbox. */
  read(id: string): Promise<SandboxState | undefined>

  /**
   * Makes one change, whole and alone: no other change of that sandbox, by whomever, comes between what
   * `applyChange` is given and what is kept of its result.
   * @returns the new state; undefined after a deletion
   */
  change(id: string, change: Change): Promise<SandboxState | undefined>

  /** Every sandbox, sorted by id. One that cannot be read is a row with an error. */
  list(): AsyncIterable<ListEntry>

  /** Waits for what is under way and lets go of everything. */
  close(): Promise<void>
}
