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
  /** Differs after every change, and after a delete and create, too. Opaque: only to be compared, or passed as `ifRevision`. */
  readonly revision: string
  /** Who owns it; absent when it is unowned. */
  readonly owner?: Owner
}

/** A sandbox's state, or why it cannot be read: `if ('error' in entry)` tells which. */
export type StateOrError<State = SandboxState> =
  | { readonly id: string; readonly state: State }
  | { readonly id: string; readonly error: StateStoreError }

/** A sandbox as it was found, or why it cannot be read: `if ('error' in entry)` tells which. */
export type ListEntry<State = SandboxState> =
  | StoredSandbox<State>
  | { readonly id: string; readonly error: StateStoreError }

/** Who holds a sandbox, as far as it is known. */
export interface LockHolder {
  /** The process. */
  readonly pid?: number
  /** Set when the pid counts in another pid namespace, as in another container of this host. */
  readonly otherPidNamespace?: true
  /** The name of its host. */
  readonly host?: string
  /** The names of its program and script, without arguments. */
  readonly command?: string
  /** When the lock was taken; for another program's proper-lockfile lock, when it was last refreshed. In ISO 8601. */
  readonly since?: string
  /** The lock that names the holder. */
  readonly lock: 'flock' | 'proper-lockfile'
}

/** The process that owns a sandbox, or owned it when it died, as far as it is known. */
export interface Owner extends Omit<LockHolder, 'lock'> {
  /**
   * `owned`: that process lives, or one that inherited the ownership from it. `orphaned`: they ended, and none of them
   * released the sandbox.
   */
  readonly state: 'owned' | 'orphaned'
}

/** The ownership of a sandbox: held until it is released, or until the last process that holds it ends. */
export interface Ownership {
  /** The sandbox. */
  readonly id: string
  /**
   * What a child inherits: with `spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', owner.fd] })` the sandbox
   * is owned for as long as either process lives. -1 once it is released, and always on etcd, where no child inherits it.
   */
  readonly fd: number
  /**
   * Aborted when the ownership is lost, with an error of a code: `NOT_FOUND` when the sandbox was deleted, which is noticed
   * within about a second. On etcd also `IO_ERROR` when the lease was not renewed in time, before etcd can give the sandbox
   * to another, and `OWNED` when another has it. Does not keep the process from ending.
   */
  readonly signal: AbortSignal
  /**
   * The orderly end: the sandbox is unowned, also if a child inherited it and still runs. Move it to `stopped` before:
   * one that is released while it is `running` is no orphan, so `reap` never stops it. Waits for the sandbox's locks. After an error it is still owned, unless the error says otherwise, and can be released again. What was lost
   * is not released: on etcd it is another's, or an orphan.
   * @throws StateStoreError `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR`
   */
  release(): Promise<void>
  /** {@link release}, for `await using`; also when the block ends with an error, whatever the state then is. */
  [Symbol.asyncDispose](): Promise<void>
}

/** How to own. */
export interface OwnOptions {
  /** Whether to wait until the present owner is gone; false by default. */
  readonly wait?: boolean
  /** Ends every wait, with its reason. */
  readonly signal?: AbortSignal
}

/** A lock that somebody holds on a sandbox. */
export interface HeldLock {
  /** The sandbox. */
  readonly id: string
  /** Who, and since when. */
  readonly holder: LockHolder
}

/** What a watcher saw of one sandbox: its state, an error, or that it was deleted. */
export type Observation<State = SandboxState> =
  | StateOrError<State>
  | { readonly id: string; readonly deleted: true }

/** One change of a sandbox's past. */
export interface HistoryEntry {
  /** Counts a sandbox's recorded changes, from 1. */
  readonly seq: number
  /** When, in UTC, in ISO 8601. */
  readonly time: string
  /** The state before; null for a create. */
  readonly from: StateString | null
  /** The state after. */
  readonly to: StateString
  /** The other fields that changed. */
  readonly fields?: readonly string[]
  /** Why: the `reason` of the change. */
  readonly reason?: string
  /** The process that made it. */
  readonly pid: number
  /** The name of its host. */
  readonly host: string
  /** The names of its program and script, without arguments. */
  readonly command: string
  /** Set when something happened between the entry before and this one that the history does not tell. */
  readonly gap?: true
}

/** A change of one sandbox, as a backend makes it. */
export interface ChangeRequest {
  readonly kind: ChangeKind
  /** For a deletion: whether the state need not be readable. */
  readonly force: boolean
  /** For the history. */
  readonly reason: string | undefined
  /** Ends a wait for others, with its reason. */
  readonly signal: AbortSignal | undefined
  /**
   * The rules: given the present state and its revision, undefined when there is no sandbox, it returns the next one,
   * undefined for a deletion, or throws. It runs in the caller's own asynchronous context.
   */
  readonly apply: Apply
  /** Only if the sandbox is still an orphan of this owner, which it then no longer is. */
  readonly ifOrphanOf?: Owner | undefined
  /** To be completed with a wait for others, if anybody wants to know. */
  readonly trace: ChangeTrace | undefined
}

/** The rules of a change: see {@link ChangeRequest}. */
export type Apply = (
  current: SandboxState | undefined,
  revision: string | undefined,
) => SandboxState | undefined

/**
 * What keeps the states: files, or a server. It knows nothing of what the states mean; a change brings its rules.
 * Ids are checked by the caller. Errors are StateStoreError.
 */
export interface Backend {
  /** @returns undefined when there is no such sandbox. */
  read(id: string): Promise<SandboxState | undefined>

  /** As {@link read}, with what else is known of it. */
  find(id: string): Promise<StoredSandbox | undefined>

  /**
   * Makes one change, whole and alone: no other change of that sandbox, whoever makes it, comes between what `apply`
   * is given and what is kept of its result.
   * @returns the new state; undefined after a deletion
   */
  change(id: string, request: ChangeRequest): Promise<SandboxState | undefined>

  /** Every sandbox, sorted by id. One that cannot be read is a row with an error. */
  list(): AsyncIterable<ListEntry>

  /**
   * First what is there, then what becomes of it, of one sandbox (`deleted` at once when it does not exist) or of all.
   * It may repeat itself and may skip what
   * was soon overtaken, but the last state of each sandbox always comes. Ends when `signal` is aborted, without an error.
   */
  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Observation>

  /** The recorded changes of a sandbox, oldest first; none when it does not exist or nothing was recorded. */
  history(id: string): AsyncIterable<HistoryEntry>

  /** The locks that are held now, of these sandboxes or of all, sorted by id; undefined where nothing can be told. */
  locks?(ids: readonly string[] | undefined): AsyncGenerator<HeldLock, void, undefined>

  /**
   * Takes the ownership of a sandbox; with `wait`, when its present owner is gone.
   * @param options the signal ends every wait, with its reason
   */
  own(id: string, options: OwnOptions): Promise<Ownership>

  /** Every fault of what is kept, of one sandbox or of all, each once; changes nothing. Undefined where nothing can be told. */
  check?(options: CheckOptions & { readonly id?: string }): AsyncGenerator<Finding, void, undefined>

  /** Does about each fault what can be done without losing or inventing a state; undefined where nothing can. */
  repair?(options: RepairOptions): Promise<readonly Repair[]>

  /** Waits for what is under way and lets go of everything. */
  close(): Promise<void>
}
