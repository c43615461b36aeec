import type { HistoryEntry, LockHolder, Owner, StoredSandbox } from './backend.js'
import type { Finding } from './check.js'
import type { DataSchema, FieldsOf } from './data-schema.js'
import type { EtcdOptions } from './etcd/options.js'
import type { Labels } from './state/labels.js'
import type { StateString } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'

// What the methods of a store take and return.

/** How to open a store. */
export interface StoreOptions<Data = unknown, Input = Data> {
  /**
   * How long a change waits for locks that others hold, in ms; 10,000 by default. 0 tries once. On etcd, how long to
   * retry when other writers win. Every request waits at least 5,000 ms for etcd.
   */
  readonly lockTimeout?: number
  /**
   * Whether a change is on the disk before it is acknowledged; true by default. Without it a power cut can undo it.
   * etcd always waits for its disks.
   */
  readonly durable?: boolean
  /** Whether each change is recorded in the sandbox's history, with its reason; true by default. */
  readonly history?: boolean
  /**
   * A schema for the `data` of every sandbox, such as a zod object: data is validated whenever it is read or written, and
   * `state.data` has the schema's type. Without one, data is any JSON, of type `unknown`.
   */
  readonly data?: DataSchema<Data, Input>
  /** For a root on etcd: credentials and certificates. */
  readonly etcd?: EtcdOptions
}

/** How to make a change. */
export interface ChangeOptions {
  /** Why the change is made, for the history and the diagnostics channel: at most 256 characters. */
  readonly reason?: string
  /**
   * Make the change only if the sandbox still has this revision, which `list` or `inspect` returned; otherwise it fails with
   * `REVISION_MISMATCH`.
   */
  readonly ifRevision?: string
  /** Aborts the wait for a lock: the call fails with the signal's reason. A change that has begun is completed. */
  readonly signal?: AbortSignal
}

/** How to create. */
export type CreateOptions = Omit<ChangeOptions, 'ifRevision'>

/** What `create` takes after the id. The fields can be left out unless the store's schema requires data. */
export type CreateArguments<Input> = undefined extends Input
  ? [fields?: FieldsOf<Input>, options?: CreateOptions]
  : [fields: FieldsOf<Input>, options?: CreateOptions]

/** How to delete. */
export interface DeleteOptions extends Omit<ChangeOptions, 'reason'> {
  /** Whether to delete a sandbox that is running, or whose state cannot be read; false by default. */
  readonly force?: boolean
}

/** What to list. */
export interface ListOptions {
  /** Only sandboxes in this state. Entries that cannot be read are listed in any case. */
  readonly state?: StateString
  /** Only sandboxes that have all of these labels, with these values. */
  readonly labels?: Labels
  /** Only sandboxes that have not changed since this time: those with an earlier `changedAt`. */
  readonly changedBefore?: Date
  /** Only sandboxes that are owned, orphaned (their owner died without releasing them) or unowned. */
  readonly owner?: Owner['state'] | 'unowned'
}

/** A sandbox recorded as running or paused whose owner died without releasing it. */
export interface Orphan<State = SandboxState> extends StoredSandbox<State> {
  /** Who owned it. */
  readonly owner: Owner
}

/** How to reap. */
export interface ReapOptions {
  /** Whether to stop nothing and yield what would be stopped; false by default. */
  readonly dryRun?: boolean
}

/** An orphan that was stopped. */
export interface Reaped<State = SandboxState> extends Orphan<State> {
  /** The reason in its history, such as `owner died: pid 4711 (node supervisor.js)`. */
  readonly reason: string
}

/** What to prune. */
export interface PruneOptions {
  /** Only sandboxes that have not changed for longer than this, in ms. A change of labels or data counts, too. */
  readonly olderThan: number
  /** Only sandboxes in this state; `stopped` by default. A running sandbox is never pruned. */
  readonly state?: StateString
  /** Only sandboxes that have all of these labels, with these values. */
  readonly labels?: Labels
  /** Whether to delete nothing and yield what would be deleted; false by default. */
  readonly dryRun?: boolean
}

/** Everything known about one sandbox. */
export interface Inspection<State = SandboxState> extends Omit<StoredSandbox<State>, 'owner'> {
  /** Who owns it, or owned it when it died; null when it is unowned, or where nothing can be owned. */
  readonly owner: Owner | null
  /**
   * When it entered its present state, according to its history, in ISO 8601 (UTC); `changedAt` when the history does not
   * know.
   */
  readonly since: string
  /** Who holds its lock now; null when nobody does, and on etcd, which has no locks. */
  readonly lock: LockHolder | null
  /** Its last 10 changes, oldest first. */
  readonly history: readonly HistoryEntry[]
  /** What `check` reports about it. */
  readonly findings: readonly Finding[]
}

/** Who owns a sandbox and who holds its lock. @internal */
export interface Holders {
  /** When it last changed, in ISO 8601. */
  readonly changedAt: string | undefined
  readonly owner: Owner | undefined
  readonly lock: LockHolder | undefined
}

/** Filters for `locks()`. */
export interface LocksOptions {
  /** Only this sandbox's. */
  readonly id?: string
}

/** What to watch, and for how long. */
export interface WatchOptions {
  /** Only this sandbox. */
  readonly id?: string
  /** Ends the watch. */
  readonly signal?: AbortSignal
}

/** How long to wait. */
export interface WaitOptions {
  /** Ends the wait with the signal's reason, such as `AbortSignal.timeout(ms)`'s. */
  readonly signal?: AbortSignal
}
