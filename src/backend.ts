/// <reference lib="esnext.disposable" preserve="true" />
import type { ChangeKind } from './change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from './check.js'
import type { ChangeTrace } from './diagnostics.js'
import type { StateStoreError } from './errors.js'
import type { StateString } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'

/** A sandbox whose state could be read. */
export interface StoredSandbox<State = SandboxState> {
  readonly id: string
  readonly state: State
  /** When it last changed, in ISO 8601 (UTC): the file's time of modification; on etcd, the time in the change's record. */
  readonly changedAt: string
  /** Differs after every change, a delete and create included. Opaque: compare it, or pass it as `ifRevision`. */
  readonly revision: string
  /** Who owns it; absent when it is unowned. */
  readonly owner?: Owner
}

/** A sandbox's state, or why it cannot be read: check with `'error' in entry`. */
export type StateOrError<State = SandboxState> =
  | { readonly id: string; readonly state: State }
  | { readonly id: string; readonly error: StateStoreError }

/** A sandbox in a list, or why it cannot be read: check with `'error' in entry`. */
export type ListEntry<State = SandboxState> =
  | StoredSandbox<State>
  | { readonly id: string; readonly error: StateStoreError }

/** The process that holds a lock on a sandbox, as far as it is known. */
export interface LockHolder {
  /** Its process id. */
  readonly pid?: number
  /** Set when the pid counts in another pid namespace, as in another container of this host. */
  readonly otherPidNamespace?: true
  /** The name of its host. */
  readonly host?: string
  /** The names of its program and script, without arguments. */
  readonly command?: string
  /** When the lock was taken; for another program's proper-lockfile lock, when it was last refreshed. In ISO 8601. */
  readonly since?: string
  /** Which of the sandbox's two locks it holds. */
  readonly lock: 'flock' | 'proper-lockfile'
}

/** The process that owns a sandbox, or owned it when it died, as far as it is known. */
export interface Owner extends Omit<LockHolder, 'lock'> {
  /**
   * `owned`: that process is alive, or one that inherited the ownership from it. `orphaned`: they all ended without
   * releasing the sandbox.
   */
  readonly state: 'owned' | 'orphaned'
}

/** The ownership of a sandbox: held until it is released, or until the last process that holds it ends. */
export interface Ownership {
  /** The sandbox. */
  readonly id: string
  /**
   * The descriptor for a child to inherit: with `spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', owner.fd] })` the sandbox
   * is owned for as long as either process lives. -1 once it is released, and always on etcd, where no child inherits it.
   */
  readonly fd: number
  /**
   * Aborted when the ownership is lost, with a StateStoreError: `NOT_FOUND` when the sandbox was deleted, noticed within
   * about a second. On etcd also `IO_ERROR` when the lease was not renewed in time, before etcd can give the sandbox to
   * another process, and `OWNED` when another process has it. Does not keep the process alive.
   */
  readonly signal: AbortSignal
  /**
   * Ends the ownership in good order: the sandbox is then unowned, even if a child that inherited it still runs. Move it to
   * `stopped` first: one that is released while it is `running` is not an orphan, so `reap` never stops it. Waits for the
   * sandbox's locks. After an error it is still owned, except after `OUTCOME_UNKNOWN` on files, and can be released again.
   * An ownership that was lost is not released: on etcd the sandbox then is another's, or an orphan.
   * @throws StateStoreError `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR`
   */
  release(): Promise<void>
  /** {@link release}, for `await using`; also when the block ends with an error, whatever the state then is. */
  [Symbol.asyncDispose](): Promise<void>
}

/** How to take ownership. */
export interface OwnOptions {
  /** Whether to wait until the present owner is gone; false by default. */
  readonly wait?: boolean
  /** Ends every wait, with the signal's reason. */
  readonly signal?: AbortSignal
}

/** A lock that is held on a sandbox. */
export interface HeldLock {
  /** The sandbox. */
  readonly id: string
  /** Who, and since when. */
  readonly holder: LockHolder
}

/** What a watch observed about one sandbox: its state, an error, or that it was deleted. */
export type Observation<State = SandboxState> =
  | StateOrError<State>
  | { readonly id: string; readonly deleted: true }

/** One change in a sandbox's history. */
export interface HistoryEntry {
  /** Its number among the sandbox's recorded changes, from 1. */
  readonly seq: number
  /** When, in UTC, in ISO 8601. */
  readonly time: string
  /** The state before; null for a create. */
  readonly from: StateString | null
  /** The state after. */
  readonly to: StateString
  /** The other fields that changed. */
  readonly fields?: readonly string[]
  /** Why, as the caller of the change stated. */
  readonly reason?: string
  /** The process that made it. */
  readonly pid: number
  /** The name of its host. */
  readonly host: string
  /** The names of its program and script, without arguments. */
  readonly command: string
  /** Set when something that was not recorded happened between the previous entry and this one. */
  readonly gap?: true
}

/** A change of one sandbox, for a backend to make. */
export interface ChangeRequest {
  readonly kind: ChangeKind
  /** For a deletion: also if the state cannot be read. */
  readonly force: boolean
  /** For the history. */
  readonly reason: string | undefined
  /** Ends a wait for locks, with the signal's reason. */
  readonly signal: AbortSignal | undefined
  /**
   * The rules: given the present state and its revision, both undefined when there is no sandbox, returns the next state,
   * undefined for a deletion, or throws. Runs in the caller's own async context.
   */
  readonly apply: Apply
  /** Only if the sandbox is still an orphan of this owner, which it then no longer is. */
  readonly ifOrphanOf?: Owner | undefined
  /** To be completed with the wait for locks; undefined if nobody listens. */
  readonly trace: ChangeTrace | undefined
}

/** The rules of a change: see {@link ChangeRequest}. */
export type Apply = (
  current: SandboxState | undefined,
  revision: string | undefined,
) => SandboxState | undefined

/**
 * Stores the states, in files or on a server. It knows nothing about their meaning; a change brings its rules. The caller
 * checks ids. Errors are StateStoreError.
 */
export interface Backend {
  /** @returns undefined when there is no such sandbox. */
  read(id: string): Promise<SandboxState | undefined>

  /** As {@link read}, with everything that a list shows. */
  find(id: string): Promise<StoredSandbox | undefined>

  /**
   * Makes one change, atomically and in isolation: no other change of that sandbox, by any process, comes between the
   * state that `apply` is given and the one that it returns.
   * @returns the new state; undefined after a deletion
   */
  change(id: string, request: ChangeRequest): Promise<SandboxState | undefined>

  /** Every sandbox, sorted by id. One that cannot be read is a row with an error. */
  list(): AsyncIterable<ListEntry>

  /**
   * First the present state, then each later one, of one sandbox (`deleted` at once when it does not exist) or of all. It
   * may repeat a state, and may skip one that was soon replaced, but the latest of each sandbox always comes. Ends when
   * `signal` is aborted, without an error.
   */
  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Observation>

  /** The recorded changes of a sandbox, oldest first; empty when it does not exist or nothing was recorded. */
  history(id: string): AsyncIterable<HistoryEntry>

  /** The locks that are held now, of these sandboxes or of all, sorted by id; undefined for a backend without locks. */
  locks?(ids: readonly string[] | undefined): AsyncGenerator<HeldLock, void, undefined>

  /** Takes ownership of a sandbox; with `wait`, once its present owner is gone. */
  own(id: string, options: OwnOptions): Promise<Ownership>

  /** Every fault of one sandbox or of all, each once; changes nothing. Undefined for a backend without a check. */
  check?(options: CheckOptions & { readonly id?: string }): AsyncGenerator<Finding, void, undefined>

  /** Repairs each fault as far as possible without losing or inventing a state; undefined for a backend without repairs. */
  repair?(options: RepairOptions): Promise<readonly Repair[]>

  /** Waits for what is under way and frees all resources. */
  close(): Promise<void>
}
