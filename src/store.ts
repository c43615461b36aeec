/// <reference lib="esnext.disposable" preserve="true" />
import { AsyncResource } from 'node:async_hooks'
import { resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { onAbort } from './abort.js'
import type {
  Apply,
  Backend,
  HeldLock,
  HistoryEntry,
  ListEntry,
  LockHolder,
  Observation,
  Owner,
  Ownership,
  OwnOptions,
  StoredSandbox,
} from './backend.js'
import { applyChange, assertRevision, type Change, notFound, type Update } from './change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from './check.js'
import {
  type DataSchema,
  type FieldsOf,
  type StateOf,
  withCheckedData,
  withTypedData,
} from './data-schema.js'
import { type ChangeTrace, withDiagnostics } from './diagnostics.js'
import { type ErrorCode, isUnreadable, ownError, StateStoreError, withCaller, withSubject } from './errors.js'
import type { EtcdOptions } from './etcd/options.js'
import { FileBackend } from './file/backend.js'
import { assertOptions, assertState } from './options.js'
import { assertRoot, isEtcdRoot } from './root.js'
import { assertId } from './sandbox-id.js'
import type { Labels } from './state/labels.js'
import type { NextState, StateString } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'
import { newState, validState } from './state/validate.js'
import { eventsOf, type StateEvent } from './watch.js'

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
  /** Only sandboxes in this state. Entries that cannot be read are listed whatever it is. */
  readonly state?: StateString
  /** Only sandboxes that have all of these labels, with these values. */
  readonly labels?: Labels
  /** Only sandboxes that have not changed since this time: those with an earlier `changedAt`. */
  readonly changedBefore?: Date
  /** Only sandboxes that are owned, orphaned (their owner died without releasing them) or unowned. */
  readonly owner?: Owner['state'] | 'unowned'
}

/** A sandbox that is said to be running or paused, and whose owner died without releasing it. */
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
  /** What its history says of it, such as `owner died: pid 4711 (node supervisor.js)`. */
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

/** Who has a sandbox now: see {@link SandboxStore.holdersOf}. @internal */
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

/**
 * Opens a store of sandbox states.
 *
 * @param root the folder that holds the sandboxes' folders; it need not exist, the first `create` makes it. Or an
 * etcd: `etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]`, `etcds://` over TLS; nothing is asked of it yet
 * @param options how; each has a default
 * @throws TypeError for bad arguments; StateStoreError `UNSUPPORTED` on another system than Linux or macOS, and on Deno
 * @group The store
 */
export async function openStore<Data = unknown, Input = Data>(
  root: string,
  options: StoreOptions<Data, Input> = {},
): Promise<SandboxStore<Data, Input>> {
  assertRoot(root)
  assertOptions(options, 'lockTimeout', 'durable', 'history', 'data', 'etcd')
  const { lockTimeout = 10_000, durable = true, history = true, data, etcd } = options
  if (isEtcdRoot(root)) {
    const { EtcdBackend } = await import('./etcd/backend.js')
    return new SandboxStore(new EtcdBackend(root, etcd, { lockTimeout, history }), data)
  }
  if (etcd !== undefined) throw new TypeError('the option etcd is for a root such as etcd://host:2379')
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    const message = `sandbox-state needs flock(2) of Linux or macOS; this is ${process.platform}`
    throw new StateStoreError('UNSUPPORTED', message)
  }
  // Its descriptors are numbers of its own, which the C library does not know.
  if ('Deno' in globalThis)
    throw new StateStoreError('UNSUPPORTED', 'sandbox-state does not run on Deno: use Node')
  return new SandboxStore(new FileBackend(resolve(root), { lockTimeout, durable, history }), data)
}

/**
 * Remembers the state of sandboxes, and lets it change only as the state machine allows. Made by {@link openStore}.
 *
 * Code for any store takes a `SandboxStore`: one with a schema is assignable to it, and still checks what is written.
 * @typeParam Data the type of `state.data`: what the schema returns; unknown without one
 * @typeParam Input what the schema accepts, such as an object without the fields that have defaults; `create` takes it
 * @group The store
 */
export class SandboxStore<Data = unknown, Input = Data> {
  // Truly private: what an inspection of a store prints may end in a log, and the backend knows etcd's password.
  readonly #backend: Backend
  readonly #data: DataSchema<Data, Input> | undefined
  /** How many calls, and steps of loops, have begun and not ended. */
  #underWay = 0
  #wake: (() => void) | undefined
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  #isShut = false

  /** @internal */
  constructor(backend: Backend, data?: DataSchema<Data, Input>) {
    this.#backend = backend
    this.#data = data
  }

  /**
   * Makes a sandbox, which starts `ready`: `create(id, { labels, data }, { reason })`.
   * @param id 1 to 128 ASCII letters, digits, `_`, `.` or `-`, beginning with a letter or digit
   * @param rest the fields, then the options; both optional, except `data` where the store's schema requires it
   * @throws StateStoreError `ALREADY_EXISTS` `INVALID_ID` `INVALID_STATE` (a field, or the data) `LOCK_TIMEOUT` `OUTCOME_UNKNOWN`
   * `IO_ERROR` `CLOSED`; `UNSUPPORTED` where flock(2) does nothing, as for every change
   */
  create(id: string, ...rest: CreateArguments<Input>): Promise<StateOf<Data>> {
    const [fields, options = {}] = rest
    return this.#changed(id, options, ['reason', 'signal'], () => ({
      kind: 'create',
      state: newState(fields),
    }))
  }

  /**
   * As {@link create}, but with a whole state: for a sandbox whose life began in another store.
   * @internal
   */
  createWithState(id: string, state: SandboxState): Promise<StateOf<Data>> {
    return this.#changed(id, {}, [], () => {
      const valid = validState(state)
      this.#typed(valid, id) // Data of another store: if the schema throws, that is a fault of this sandbox only.
      return { kind: 'create', state: valid }
    })
  }

  /**
   * A sandbox's state as it is on the disk. Takes no lock and makes nothing.
   * @throws StateStoreError `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` `CLOSED`
   */
  async read(id: string): Promise<StateOf<Data>> {
    return this.#track(async () => {
      this.#assertUsable(id)
      return this.#typed(existing(id, await this.#backend.read(id)), id)
    })
  }

  /**
   * Moves a sandbox from one state to another (Kata's `ValidTransition`, and the write after it).
   * @param from the state that the caller believes it to be in (Kata's `oldState`)
   * @param to the state to move it to (Kata's `newState`)
   * @throws StateStoreError `STATE_MISMATCH` when it is in another; `INVALID_TRANSITION` when the state machine has no
   * such move; `REVISION_MISMATCH` `NOT_FOUND` `INVALID_ID` `INVALID_STATE` `CORRUPT_STATE` `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  transition<From extends StateString>(
    id: string,
    from: From,
    to: NextState<From>,
    options: ChangeOptions = {},
  ): Promise<StateOf<Data>> {
    return this.#changed(id, options, CHANGE_OPTIONS, () => {
      assertState('from', from)
      assertState('to', to)
      return { kind: 'transition', from, to }
    })
  }

  /**
   * Changes a sandbox's fields: the function is given the state and returns the next one. It runs once, while the
   * sandbox is locked; so it should do nothing else. (It runs again, on the newer state, if this process stood still
   * for so long that another program with proper-lockfile took the lock for a stale one; and on etcd, which has no
   * lock, when another process changed the sandbox meanwhile.) A new `state` must be one that the state machine allows.
   * @throws TypeError when it returns a promise or nothing; what the function throws; StateStoreError
   * `INVALID_TRANSITION` `INVALID_STATE` (a field, or the data) `REVISION_MISMATCH` `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `LOCK_TIMEOUT`
   * `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`. The sandbox then is as it was, except after `OUTCOME_UNKNOWN`.
   */
  update(
    id: string,
    update: (state: StateOf<Data>) => StateOf<Data>,
    options: ChangeOptions = {},
  ): Promise<StateOf<Data>> {
    return this.#changed(id, options, CHANGE_OPTIONS, () => {
      if (typeof update !== 'function')
        throw new TypeError(`an update must be a function, not ${typeof update}`)
      const checked: Update = state => {
        const next: unknown = update(this.#typed(state, id))
        return withSubject(`sandbox ${id}`, { id }, () => validState(synchronous(next)))
      }
      return { kind: 'update', update: checked }
    })
  }

  /**
   * Deletes a sandbox that is not running, as Kata does; with `force`, also a running one, or one whose state
   * cannot be read. What others keep in its folder stays.
   * @throws StateStoreError `INVALID_TRANSITION` when it is running; `REVISION_MISMATCH` `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE`
   * `INVALID_STATE` `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  async delete(id: string, options: DeleteOptions = {}): Promise<void> {
    this.#assertUsable(id)
    await this.#change(id, options, ['force', 'ifRevision', 'signal'], () => ({
      kind: 'delete',
      force: options.force ?? false,
    }))
  }

  /**
   * Every sandbox, sorted by id; one that cannot be read is an entry with its error. Takes no lock and makes nothing.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `CLOSED`
   */
  list(options: ListOptions = {}): AsyncGenerator<ListEntry<StateOf<Data>>, void, undefined> {
    return this.#loop(() => {
      assertOptions(options, 'state', 'labels', 'changedBefore', 'owner')
      return this.#entries(options)
    })
  }

  async *#entries(options: ListOptions): AsyncGenerator<ListEntry<StateOf<Data>>, void, undefined> {
    for await (const entry of this.#backend.list()) {
      if ('error' in entry) yield entry
      else if (isWanted(entry, options)) yield this.#typedEntry(entry)
    }
  }

  /**
   * Everything known about one sandbox, in one object. Makes nothing, and takes no lock, but for a moment to confirm a fault.
   * A change that comes meanwhile may show in a part of it only. A state that cannot be read is an error here; `history`, `locks`
   * and `check` still show such a sandbox.
   * @throws StateStoreError `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` `CLOSED`
   */
  inspect(id: string): Promise<Inspection<StateOf<Data>>> {
    return this.#track(async () => {
      this.#assertUsable(id)
      const found = existing(id, await this.#backend.find(id))
      const entry = { ...found, state: this.#typed(found.state, id) }
      const history = await collect(this.#backend.history(id))
      const [held] = await collect(this.#backend.locks?.([id]))
      const findings = await collect(this.#backend.check?.({ id }))
      const since = sinceWhen(entry, history)
      const { owner = null } = entry
      return { ...entry, since, owner, lock: held?.holder ?? null, history: history.slice(-10), findings }
    })
  }

  /**
   * Deletes sandboxes that have not changed for a long time, one after the other, and yields each as it was. A sweep, to be
   * run from time to time: nothing is pruned by itself. A sandbox that changes during the sweep stays, as does one that is
   * running or cannot be read. With `dryRun`, yields what would be deleted.
   * @throws StateStoreError `LOCK_TIMEOUT` after all the others, when a sandbox was locked for too long; `IO_ERROR`
   * `OUTCOME_UNKNOWN` `CLOSED`
   */
  prune(options: PruneOptions): AsyncGenerator<StoredSandbox<StateOf<Data>>, void, undefined> {
    return this.#loop(() => {
      assertOptions(options, 'olderThan', 'state', 'labels', 'dryRun')
      if (options.olderThan === undefined)
        throw new TypeError('olderThan is missing, a number of milliseconds')
      const { dryRun = false } = options
      return sweep(this.#prunable(options), async ({ id, revision }) => {
        const only = { ifRevision: revision }
        if (!dryRun) await this.#change(id, only, ['ifRevision'], () => ({ kind: 'delete', force: false }))
      })
    })
  }

  async *#prunable({
    olderThan,
    state = 'stopped',
    labels,
  }: PruneOptions): AsyncGenerator<StoredSandbox<StateOf<Data>>, void, undefined> {
    const wanted = { state, changedBefore: new Date(Date.now() - olderThan), ...(labels && { labels }) }
    for await (const entry of this.#entries(wanted)) {
      if (!('error' in entry) && entry.state.state !== 'running') yield entry
    }
  }

  /**
   * Takes the ownership of a sandbox, which lasts until it is released, or until this process and all children that
   * inherited its `fd` have ended, however they end. On etcd no child inherits it, it lasts up to 10 s longer than this
   * process, and it can be lost: heed its `signal`. Closing the store does not end it. An orphan is taken over.
   * @param options with `wait`, waits until the present owner is gone, which is noticed within 100 ms
   * @throws what the `signal` was aborted with; StateStoreError `OWNED` when somebody else is the owner, which it names;
   * `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `LOCK_TIMEOUT` `IO_ERROR` `CLOSED`; `UNSUPPORTED` where flock(2)
   * does nothing; on etcd `OUTCOME_UNKNOWN`: it may be owned for 10 s, and is an orphan then
   */
  own(id: string, options: OwnOptions = {}): Promise<Ownership> {
    return this.#track(async () => {
      assertOptions(options, 'wait', 'signal')
      this.#assertUsable(id)
      const { wait = false, signal } = options
      signal?.throwIfAborted()
      if (!wait) return this.#backend.own(id, signal === undefined ? {} : { signal })
      const ended = new AbortController()
      const takeBack = [
        onAbort(this.#closing.signal, () => ended.abort(closedError())),
        signal && onAbort(signal, () => ended.abort(signal.reason)),
      ]
      try {
        return await this.#backend.own(id, { wait, signal: ended.signal })
      } finally {
        for (const back of takeBack) back?.()
      }
    })
  }

  /**
   * Each running or paused sandbox whose owner died without releasing it, sorted by id; after a reboot all that were owned.
   * What cannot be read, or has data that the schema refuses, is left out: `list` shows it. Takes no lock and makes nothing.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `CLOSED`
   */
  orphans(): AsyncGenerator<Orphan<StateOf<Data>>, void, undefined> {
    return this.#loop(() => this.#orphans())
  }

  async *#orphans(): AsyncGenerator<Orphan<StateOf<Data>>, void, undefined> {
    for await (const entry of this.#entries({ owner: 'orphaned' })) {
      if ('error' in entry || entry.owner === undefined) continue
      const { owner } = entry
      if (MAY_BE_ORPHANED.has(entry.state.state)) yield { ...entry, owner }
    }
  }

  /**
   * Moves each orphan to `stopped`, one after the other, and yields each as it was. It looks again under the sandbox's
   * lock: one that has an owner by then, that was released or that somebody changes meanwhile stays as it is. Leaves out what
   * `orphans` leaves out. With `dryRun`, yields what would be stopped.
   * @throws StateStoreError `LOCK_TIMEOUT` after all the others, when a sandbox was locked for too long; `IO_ERROR`
   * `OUTCOME_UNKNOWN` `CLOSED`
   */
  reap(options: ReapOptions = {}): AsyncGenerator<Reaped<StateOf<Data>>, void, undefined> {
    return this.#loop(() => {
      assertOptions(options, 'dryRun')
      const { dryRun = false } = options
      return sweep(this.#reapable(), async ({ id, state, owner, reason }) => {
        const make = (): Change => ({ kind: 'transition', from: state.state, to: 'stopped' })
        if (!dryRun) await this.#change(id, { reason }, ['reason'], make, owner)
      })
    })
  }

  async *#reapable(): AsyncGenerator<Reaped<StateOf<Data>>, void, undefined> {
    for await (const orphan of this.#orphans()) {
      const { pid, command } = orphan.owner
      const reason = `owner died: ${pid === undefined ? 'an unknown process' : `pid ${pid} (${command})`}`
      yield { ...orphan, reason }
    }
  }

  /**
   * Follows one sandbox or all of them, whoever changes them: first what is there, as `created`, then what happens.
   * States that were soon overtaken may be skipped, the last one never; so a sandbox that was deleted and made again at
   * once may be `changed`. A sandbox that cannot be read is an `error` event. Ends when `signal` is aborted, when the store
   * is closed, and when the loop over it is left.
   * @throws StateStoreError `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  watch(options: WatchOptions = {}): AsyncGenerator<StateEvent<StateOf<Data>>, void, undefined> {
    const left = new AbortController()
    return this.#loop(() => {
      assertOptions(options, 'id', 'signal')
      const observations = this.#observe(options.id, [left.signal, options.signal])
      return eventsOf(observations, entry => ('error' in entry ? entry : this.#typedEntry(entry)))
    }, left)
  }

  /**
   * Waits until a sandbox is in a state, or is deleted.
   * @param options the signal that ends the wait
   * @returns the state that it then has; undefined for `deleted`
   * @throws what the `signal` was aborted with; StateStoreError `NOT_FOUND` when the sandbox does not exist, or is
   * deleted while another state is awaited; `CORRUPT_STATE` `INVALID_STATE` `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  async waitFor<State extends StateString | 'deleted'>(
    id: string,
    state: State,
    options?: WaitOptions,
  ): Promise<State extends 'deleted' ? undefined : StateOf<Data>>
  async waitFor(
    id: string,
    state: StateString | 'deleted',
    options: WaitOptions = {},
  ): Promise<StateOf<Data> | undefined> {
    assertOptions(options, 'signal')
    const { signal } = options
    if (state !== 'deleted') assertState('state', state, 'ready, running, paused, stopped or deleted')
    this.#assertUsable(id)
    signal?.throwIfAborted()
    for await (const observed of this.#observe(id, [signal])) {
      if ('deleted' in observed) {
        if (state === 'deleted') return undefined
        throw notFound(id)
      }
      const entry = 'error' in observed ? observed : this.#typedEntry(observed)
      if ('error' in entry) throw withCaller(entry.error)
      if (entry.state.state === state) return entry.state
    }
    signal?.throwIfAborted()
    throw closedError()
  }

  /**
   * The recorded changes of a sandbox, oldest first. Old ones are dropped as the history grows: the first `seq` is then
   * above 1. A change is recorded after it has taken effect, so that one which `watch` or `waitFor` has just seen may not be
   * there yet. An entry with a `gap` follows something that was not recorded. Takes no lock and makes nothing.
   * @throws StateStoreError `NOT_FOUND` when there is neither a sandbox nor a history of it; `CORRUPT_STATE` when
   * the history is kept in something else than a file; `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  history(id: string): AsyncGenerator<HistoryEntry, void, undefined> {
    return this.#loop(() => {
      assertId(id)
      return this.#historyOf(id)
    })
  }

  async *#historyOf(id: string): AsyncGenerator<HistoryEntry, void, undefined> {
    let recorded = false
    for await (const entry of this.#backend.history(id)) {
      recorded = true
      yield entry
    }
    if (recorded) return
    try {
      if ((await this.#backend.read(id)) === undefined) throw notFound(id)
    } catch (error) {
      // One whose state cannot be read exists all the same.
      if (!isUnreadable(error)) throw error
    }
  }

  /**
   * Who owns and who locks each of some sandboxes, for a view that looks again and again: all their locks are looked up at
   * once. Of one that cannot be read, only the lock is known.
   * @internal
   */
  async holdersOf(ids: readonly string[]): Promise<ReadonlyMap<string, Holders>> {
    return this.#track(async () => {
      this.#assertOpen()
      const held = await collect(this.#backend.locks?.(ids))
      const looks = ids.map(async (id): Promise<[string, Holders]> => {
        const found = await this.#backend.find(id).catch(ownError)
        const { owner, changedAt } = found instanceof StateStoreError ? {} : (found ?? {})
        return [id, { changedAt, owner, lock: held.find(lock => lock.id === id)?.holder }]
      })
      return new Map(await Promise.all(looks))
    })
  }

  /**
   * Every lock that is held now, by us, Kata, flock(1) or a program with proper-lockfile, sorted by id. A sandbox whose
   * folder cannot be read is left out. Makes and changes nothing, and keeps no change from its lock.
   * @param options filters for the locks
   * @throws StateStoreError `INVALID_ID`, `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend
   * cannot tell, `CLOSED`
   */
  locks(options: LocksOptions = {}): AsyncGenerator<HeldLock, void, undefined> {
    return this.#loop(() => {
      assertOptions(options, 'id')
      const { id } = options
      return supported(
        this.#backend.locks?.(id === undefined ? undefined : [id]),
        'a store of this kind has no locks',
      )
    })
  }

  /**
   * Every fault in the root, each once, in no order: damaged states, leftovers of killed processes, wrong modes and owners,
   * files that are not ours. Changes nothing, and does not report what a change under way looks like.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no check, `CLOSED`
   */
  check(options: CheckOptions = {}): AsyncGenerator<Finding, void, undefined> {
    return this.#loop(() => {
      assertOptions(options, 'onProgress')
      const findings = this.#backend.check?.(inCallersContext(options))
      return supported(findings, 'a store of this kind has no check')
    })
  }

  /**
   * Removes what killed processes left, moves what is damaged to the quarantine, and sets wrong modes right; never
   * deletes a state and never makes one. Each sandbox is locked as for a change, those that stay busy are skipped.
   * @returns every fault that was found and what became of it; with `dryRun`, what would
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no repair, `CLOSED`
   */
  repair(options: RepairOptions = {}): Promise<readonly Repair[]> {
    return this.#track(() => {
      assertOptions(options, 'dryRun', 'onProgress')
      this.#assertOpen()
      const { dryRun = false } = options
      const repair = this.#backend.repair?.({ ...inCallersContext(options), dryRun })
      return supported(repair, 'a store of this kind has nothing to repair')
    })
  }

  /**
   * Waits for everything that was asked for before it, and ends the watches; a loop goes on as long as it asks for more.
   * Whatever is called afterwards ends with `CLOSED`.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(ENDED)
    while (this.#underWay > 0) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      await nextTurn() // By then a loop that goes on has asked for more.
    }
    this.#isShut = true
    await this.#backend.close()
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Ends with any of the signals, with the store, and when the loop over it is left. */
  async *#observe(
    id: string | undefined,
    signals: readonly (AbortSignal | undefined)[],
  ): AsyncGenerator<Observation, void, undefined> {
    // AbortSignal.any would keep some bytes for each call as long as the longest-lived of its signals.
    const ended = new AbortController()
    const end = () => ended.abort(ENDED)
    const takeBack = [this.#closing.signal, ...signals].map(signal => signal && onAbort(signal, end))
    try {
      yield* this.#backend.watch(id, ended.signal)
    } finally {
      for (const back of takeBack) back?.()
      end()
    }
  }

  /** A state as this store gives it. @throws StateStoreError `INVALID_STATE` */
  #typed(state: SandboxState, id: string): StateOf<Data> {
    return withTypedData(this.#data, state, id) as StateOf<Data> // The schema has checked it.
  }

  #typedEntry<Entry extends { readonly id: string; readonly state: SandboxState }>(entry: Entry) {
    const { id } = entry
    try {
      return { ...entry, state: this.#typed(entry.state, id) }
    } catch (error) {
      if (error instanceof StateStoreError) return { id, error }
      throw error
    }
  }

  async #changed(
    id: string,
    options: ChangeOptions,
    names: readonly string[],
    make: () => Change,
  ): Promise<StateOf<Data>> {
    this.#assertUsable(id)
    return this.#typed(existing(id, await this.#change(id, options, names, make)), id)
  }

  /**
   * A change of a sandbox with a valid id; for a loop that goes on, also after `close` was called.
   * @param make checks what the caller wants
   * @param ifOrphanOf only an orphan of this owner is changed
   */
  #change(
    id: string,
    options: ChangeOptions,
    names: readonly string[],
    make: () => Change,
    ifOrphanOf?: Owner,
  ): Promise<SandboxState | undefined> {
    return this.#track(() => {
      const change = withSubject(`sandbox ${id}`, { id }, () => {
        assertOptions(options, ...names)
        return make()
      })
      const { reason, ifRevision, signal } = options
      signal?.throwIfAborted()
      const { kind } = change
      // A deletion of just one revision needs to read what is there.
      const force = kind === 'delete' && change.force && ifRevision === undefined
      return withDiagnostics({ id, kind, reason }, trace => {
        const rules = (current: SandboxState | undefined, revision: string | undefined) => {
          if (ifRevision !== undefined) assertRevision(id, ifRevision, revision)
          if (current !== undefined && kind === 'transition') this.#typed(current, id)
          const next = applyChange(change, current, id)
          return next && kind !== 'transition' ? withCheckedData(this.#data, next, id) : next
        }
        const apply = traced(rules, change, trace)
        return this.#backend.change(id, { kind, force, reason, ifOrphanOf, signal, apply, trace })
      })
    })
  }

  /** Lets `close` wait for a call, and the stack of its error lead on to the caller. */
  async #track<T>(call: () => Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await call()
    } catch (error) {
      throw withCaller(error)
    } finally {
      if (--this.#underWay === 0) this.#wake?.()
    }
  }

  /**
   * A loop over a generator: bad arguments are thrown by the call itself, any other refusal by the first `next()`. `close`
   * waits for each step of it.
   * @param left for a generator that ends by itself when the store is closed, and when this is aborted. Its `return` would
   * otherwise wait for its next value.
   */
  #loop<T>(
    begin: () => AsyncGenerator<T, void, undefined>,
    left?: AbortController,
  ): AsyncGenerator<T, void, undefined> {
    let generator: AsyncGenerator<T, void, undefined>
    try {
      generator = begin()
      this.#assertOpen()
    } catch (error) {
      if (!(error instanceof StateStoreError)) throw error
      generator = refused(error)
    }
    const next = generator.next.bind(generator)
    override(generator, 'next', async () => {
      if (this.#isShut && left === undefined) throw closedError()
      return await this.#track(next)
    })
    const end = generator.return.bind(generator)
    return override(generator, 'return', value => {
      left?.abort(ENDED)
      return end(value)
    })
  }

  #assertUsable(id: string): void {
    assertId(id)
    this.#assertOpen()
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw closedError()
  }
}

function existing<T>(id: string, found: T | undefined): T {
  if (found === undefined) throw notFound(id)
  return found
}

/** The rules, with the states before and after noted in the trace. */
function traced(rules: Apply, change: Change, trace: ChangeTrace | undefined): Apply {
  if (trace === undefined) return rules
  return (current, revision) => {
    trace.from = current?.state ?? null
    if (change.kind === 'transition') trace.to = change.to
    const next = rules(current, revision)
    trace.to = next?.state ?? null
    return next
  }
}

function isWanted({ state, changedAt, owner }: StoredSandbox, options: ListOptions): boolean {
  const { labels = {}, changedBefore } = options
  if (options.owner !== undefined && options.owner !== (owner?.state ?? 'unowned')) return false
  if (options.state !== undefined && state.state !== options.state) return false
  // Negated, so that an invalid date matches nothing: `olderThan` may reach back beyond all dates.
  if (changedBefore !== undefined && !(Date.parse(changedAt) < changedBefore.getTime())) return false
  return Object.entries(labels).every(([name, text]) => state.labels?.[name] === text)
}

/** When it entered its state: a history that was not kept, or not from the start, may not know. */
function sinceWhen({ state, changedAt }: StoredSandbox, history: readonly HistoryEntry[]): string {
  const move = history.findLast(({ from, to }) => from !== to)
  return move?.to === state.state ? move.time : changedAt
}

async function collect<T>(items: AsyncIterable<T> | undefined): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items ?? []) collected.push(item)
  return collected
}

const CHANGE_OPTIONS = ['reason', 'ifRevision', 'signal'] as const

/**
 * Changes one sandbox after the other, and yields those that were changed. What concerns one sandbox only does not end the
 * sweep; that one was held for too long is thrown at its end.
 */
async function* sweep<Entry>(
  entries: AsyncIterable<Entry>,
  change: (entry: Entry) => Promise<unknown>,
): AsyncGenerator<Entry, void, undefined> {
  let busy: StateStoreError | undefined
  for await (const entry of entries) {
    const obstacle = await obstacleTo(change(entry))
    if (obstacle === undefined) yield entry
    else if (obstacle.code === 'LOCK_TIMEOUT') busy ??= obstacle
  }
  if (busy !== undefined) throw busy
}

/** @returns why the sandbox stays as it is; undefined once it is changed */
async function obstacleTo(change: Promise<unknown>): Promise<StateStoreError | undefined> {
  try {
    await change
    return undefined
  } catch (error) {
    if (error instanceof StateStoreError && STAYS.has(error.code)) return error
    throw error
  }
}

/** Errors of a sweep's change that concern its sandbox only: somebody changed, deleted or owned it first, or holds it. */
const STAYS: ReadonlySet<ErrorCode> = new Set([
  'NOT_FOUND',
  'REVISION_MISMATCH',
  'STATE_MISMATCH',
  'INVALID_TRANSITION',
  'OWNED',
  'CORRUPT_STATE',
  'INVALID_STATE',
  'LOCK_TIMEOUT',
])

const MAY_BE_ORPHANED: ReadonlySet<StateString> = new Set(['running', 'paused'])

/** A generator runs in the context of whoever asks for its next value; the caller's function runs in the caller's. */
function inCallersContext({ onProgress }: CheckOptions): CheckOptions {
  return onProgress === undefined ? {} : { onProgress: AsyncResource.bind(onProgress) }
}

/** Gives one object a method of its own. An assignment would fail where the inherited one is frozen. */
function override<T extends object, Name extends keyof T>(object: T, name: Name, value: T[Name]): T {
  return Object.defineProperty(object, name, { value, configurable: true, writable: true })
}

/** The reason of our own signals, which nobody sees. Without one, each would make an error with a stack. */
const ENDED = 'ended'

function closedError(): StateStoreError {
  return new StateStoreError('CLOSED', 'this store is closed')
}

// biome-ignore lint/correctness/useYield: its first step is its last
async function* refused(error: StateStoreError): AsyncGenerator<never, void, undefined> {
  throw error
}

function supported<T>(result: T | undefined, message: string): T {
  if (result === undefined) throw new StateStoreError('UNSUPPORTED', message)
  return result
}

function synchronous(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) {
    throw new TypeError('an update must return the new state')
  }
  if ('then' in result && typeof result.then === 'function') {
    result.then(undefined, () => {}) // Should it fail, nobody handles that.
    throw new TypeError(
      'an update must return the new state itself, not a promise of it: nothing waits under a lock',
    )
  }
  if (!('state' in result)) {
    const message = 'an update must return the whole state, such as { ...state, blockIndex: 1 }'
    throw new StateStoreError('INVALID_STATE', message)
  }
  return result
}
