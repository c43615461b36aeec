/// <reference lib="esnext.disposable" preserve="true" />
import { AsyncResource } from 'node:async_hooks'
import { resolve } from 'node:path'
import { anySignal } from './abort.js'
import type {
  Backend,
  HeldLock,
  HistoryEntry,
  ListEntry,
  Observation,
  Owner,
  Ownership,
  OwnOptions,
  StoredSandbox,
} from './backend.js'
import { applyChange, assertRevision, type Change, notFound, stateOfUpdate, type Update } from './change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from './check.js'
import { type DataSchema, type StateOf, withCheckedData, withTypedData } from './data-schema.js'
import { traced, withDiagnostics } from './diagnostics.js'
import { isUnreadable, ownError, StateStoreError, withCaller, withSubject } from './errors.js'
import { FileBackend } from './file/backend.js'
import { assertOptions, assertState } from './options.js'
import { assertRoot, isEtcdRoot } from './root.js'
import { assertId } from './sandbox-id.js'
import type { NextState, StateString } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'
import { newState, validState } from './state/validate.js'
import { closedError, StoreCalls } from './store-calls.js'
import { orphaned, prunable, reapable, sweep } from './store-sweep.js'
import type {
  ChangeOptions,
  CreateArguments,
  DeleteOptions,
  Holders,
  Inspection,
  ListOptions,
  LocksOptions,
  Orphan,
  PruneOptions,
  Reaped,
  ReapOptions,
  StoreOptions,
  WaitOptions,
  WatchOptions,
} from './store-types.js'
import { eventsOf, type StateEvent } from './watch.js'

/**
 * Opens a store of sandbox states.
 *
 * @param root the folder that holds the sandboxes' folders; it need not exist, the first `create` makes it. Or an
 * etcd: `etcd://HOST[:PORT][,HOST[:PORT]...][/PREFIX]`, `etcds://` over TLS; no connection is made yet
 * @param options how; each has a default
 * @throws TypeError for bad arguments; StateStoreError `UNSUPPORTED` on systems other than Linux and macOS, and on Deno
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
  // Deno numbers its descriptors itself; the C library does not know them.
  if ('Deno' in globalThis)
    throw new StateStoreError('UNSUPPORTED', 'sandbox-state does not run on Deno: use Node')
  return new SandboxStore(new FileBackend(resolve(root), { lockTimeout, durable, history }), data)
}

/**
 * Stores the states of sandboxes, and lets them change only as the state machine allows. {@link openStore} returns one.
 *
 * Code for any store takes a `SandboxStore`: one with a schema is assignable to it, and still checks what is written.
 * @typeParam Data the type of `state.data`: what the schema returns; unknown without one
 * @typeParam Input what the schema accepts, such as an object without the fields that have defaults; `create` takes it
 * @group The store
 */
export class SandboxStore<Data = unknown, Input = Data> {
  // Private at run time: a store that is printed may end up in a log, and the backend knows etcd's password.
  readonly #backend: Backend
  readonly #data: DataSchema<Data, Input> | undefined
  readonly #calls = new StoreCalls()

  /** @internal */
  constructor(backend: Backend, data?: DataSchema<Data, Input>) {
    this.#backend = backend
    this.#data = data
  }

  /**
   * Creates a sandbox, in the state `ready`: `create(id, { labels, data }, { reason })`.
   * @param id 1 to 128 ASCII letters, digits, `_`, `.` or `-`, beginning with a letter or digit
   * @param rest the fields, then the options; both optional, except `data` where the store's schema requires it
   * @throws StateStoreError `ALREADY_EXISTS` `INVALID_ID` `INVALID_STATE` (a field, or the data) `LOCK_TIMEOUT` `OUTCOME_UNKNOWN`
   * `IO_ERROR` `CLOSED`; `UNSUPPORTED` where flock(2) does nothing, as for every change
   */
  create(id: string, ...rest: CreateArguments<Input>): Promise<StateOf<Data>> {
    const [fields, options = {}] = rest
    return this.#changeAndReturn(id, options, ['reason', 'signal'], () => ({
      kind: 'create',
      state: newState(fields),
    }))
  }

  /**
   * As {@link create}, but with a whole state: for a sandbox that comes from another store.
   * @internal
   */
  createWithState(id: string, state: SandboxState): Promise<StateOf<Data>> {
    return this.#changeAndReturn(id, {}, [], () => {
      const valid = validState(state)
      this.#typed(valid, id) // The data comes from another store: a schema that throws concerns this sandbox only.
      return { kind: 'create', state: valid }
    })
  }

  /**
   * A sandbox's state, read from the disk. Takes no lock and creates nothing.
   * @throws StateStoreError `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` `CLOSED`
   */
  read(id: string): Promise<StateOf<Data>> {
    return this.#calls.track(async () => {
      this.#assertUsable(id)
      return this.#typed(existing(id, await this.#backend.read(id)), id)
    })
  }

  /**
   * Moves a sandbox from one state to another (Kata's `ValidTransition`, and the write after it).
   * @param from the state that the caller expects it to be in (Kata's `oldState`)
   * @param to the state to move it to (Kata's `newState`)
   * @throws StateStoreError `STATE_MISMATCH` when it is in another state; `INVALID_TRANSITION` when the state machine has
   * no such transition; `REVISION_MISMATCH` `NOT_FOUND` `INVALID_ID` `INVALID_STATE` `CORRUPT_STATE` `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  transition<From extends StateString>(
    id: string,
    from: From,
    to: NextState<From>,
    options: ChangeOptions = {},
  ): Promise<StateOf<Data>> {
    return this.#changeAndReturn(id, options, CHANGE_OPTIONS, () => {
      assertState('from', from)
      assertState('to', to)
      return { kind: 'transition', from, to }
    })
  }

  /**
   * Changes a sandbox's fields: the function receives the state and returns the next one. It runs once, while the sandbox
   * is locked, so it should do nothing else. (It runs again, on the newer state, if this process was paused for so long
   * that another program took its proper-lockfile lock as stale; and on etcd, which has no locks, when another process
   * changed the sandbox meanwhile.) A new `state` must be one that the state machine allows.
   * @throws TypeError when it returns a promise or nothing; what the function throws; StateStoreError
   * `INVALID_TRANSITION` `INVALID_STATE` (a field, or the data) `REVISION_MISMATCH` `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `LOCK_TIMEOUT`
   * `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`. The sandbox is then as it was, except after `OUTCOME_UNKNOWN`.
   */
  update(
    id: string,
    update: (state: StateOf<Data>) => StateOf<Data>,
    options: ChangeOptions = {},
  ): Promise<StateOf<Data>> {
    return this.#changeAndReturn(id, options, CHANGE_OPTIONS, () => {
      if (typeof update !== 'function')
        throw new TypeError(`an update must be a function, not ${typeof update}`)
      const checked: Update = state => {
        const next: unknown = update(this.#typed(state, id))
        return withSubject(`sandbox ${id}`, { id }, () => stateOfUpdate(next))
      }
      return { kind: 'update', update: checked }
    })
  }

  /**
   * Deletes a sandbox that is not running, as Kata does; with `force`, also a running one, or one whose state
   * cannot be read. Files of other programs in its folder stay.
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
   * Every sandbox, sorted by id; one that cannot be read is an entry with its error. Takes no lock and creates nothing.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `INVALID_STATE` when `state` is not a state, `CLOSED`
   */
  list(options: ListOptions = {}): AsyncGenerator<ListEntry<StateOf<Data>>, void, undefined> {
    return this.#calls.loop(() => {
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
   * Everything known about one sandbox, in one object. Creates nothing, and takes no lock except for a moment to confirm a
   * fault. A change under way may show in only part of it. A state that cannot be read is an error here; `history`, `locks`
   * and `check` still show such a sandbox.
   * @throws StateStoreError `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` `CLOSED`
   */
  inspect(id: string): Promise<Inspection<StateOf<Data>>> {
    return this.#calls.track(async () => {
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
   * Deletes sandboxes that have not changed for a long time, one after the other, and yields each as it was. Run it from
   * time to time: nothing is pruned automatically. A sandbox that changes meanwhile stays, as does one that is running or
   * cannot be read. With `dryRun`, yields what would be deleted.
   * @throws StateStoreError `LOCK_TIMEOUT` after all the others, when a sandbox was locked for too long; `INVALID_STATE`
   * when `state` is not a state; `IO_ERROR` `OUTCOME_UNKNOWN` `CLOSED`
   */
  prune(options: PruneOptions): AsyncGenerator<StoredSandbox<StateOf<Data>>, void, undefined> {
    return this.#calls.loop(() => {
      assertOptions(options, 'olderThan', 'state', 'labels', 'dryRun')
      if (options.olderThan === undefined)
        throw new TypeError('olderThan is missing, a number of milliseconds')
      const { olderThan, state = 'stopped', labels = {}, dryRun = false } = options
      const wanted = this.#entries({ state, labels, changedBefore: new Date(Date.now() - olderThan) })
      return sweep(prunable(wanted), async ({ id, revision }) => {
        const only = { ifRevision: revision }
        if (!dryRun) await this.#change(id, only, ['ifRevision'], () => ({ kind: 'delete', force: false }))
      })
    })
  }

  /**
   * Takes ownership of a sandbox, an orphan included. It lasts until it is released, or until this process and all
   * children that inherited its `fd` have ended, in whatever way. On etcd no child inherits it, it lasts up to 10 s longer
   * than this process, and it can be lost: heed its `signal`. Closing the store does not end it.
   * @param options with `wait`, waits until the present owner is gone, which is noticed within 100 ms
   * @throws what the `signal` was aborted with; StateStoreError `OWNED` when somebody else is the owner, which it names;
   * `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `LOCK_TIMEOUT` `IO_ERROR` `CLOSED`; `UNSUPPORTED` where flock(2)
   * does nothing; on etcd `OUTCOME_UNKNOWN`: it may be owned for 10 s, and is an orphan then
   */
  own(id: string, options: OwnOptions = {}): Promise<Ownership> {
    return this.#calls.track(async () => {
      assertOptions(options, 'wait', 'signal')
      this.#assertUsable(id)
      const { wait = false, signal } = options
      signal?.throwIfAborted()
      if (!wait) return this.#backend.own(id, signal === undefined ? {} : { signal })
      const [ended, unsubscribe] = anySignal([this.#calls.closingSignal, signal])
      return this.#backend.own(id, { wait, signal: ended }).finally(unsubscribe)
    })
  }

  /**
   * Each running or paused sandbox whose owner died without releasing it, sorted by id; after a reboot, all that were owned.
   * Sandboxes that cannot be read, or whose data the schema refuses, are left out: `list` shows them. Takes no lock and
   * creates nothing.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `CLOSED`
   */
  orphans(): AsyncGenerator<Orphan<StateOf<Data>>, void, undefined> {
    return this.#calls.loop(() => this.#orphans())
  }

  #orphans(): AsyncGenerator<Orphan<StateOf<Data>>, void, undefined> {
    return orphaned(this.#entries({ owner: 'orphaned' }))
  }

  /**
   * Moves each orphan to `stopped`, one after the other, and yields each as it was. Each is checked again under its
   * lock: one that has a new owner by then, or that was released or changed meanwhile, stays as it is. Leaves out what
   * `orphans` leaves out. With `dryRun`, yields what would be stopped.
   * @throws StateStoreError `LOCK_TIMEOUT` after all the others, when a sandbox was locked for too long; `IO_ERROR`
   * `OUTCOME_UNKNOWN` `CLOSED`
   */
  reap(options: ReapOptions = {}): AsyncGenerator<Reaped<StateOf<Data>>, void, undefined> {
    return this.#calls.loop(() => {
      assertOptions(options, 'dryRun')
      const { dryRun = false } = options
      return sweep(reapable(this.#orphans()), async ({ id, state, owner, reason }) => {
        const stop = (): Change => ({ kind: 'transition', from: state.state, to: 'stopped' })
        if (!dryRun) await this.#change(id, { reason }, ['reason'], stop, owner)
      })
    })
  }

  /**
   * Follows one sandbox or all of them, whichever program changes them: first what is there, as `created`, then each
   * change. A state that was soon replaced may be skipped, the latest never is; so a sandbox that was deleted and created
   * again at once may appear as `changed`. A sandbox that cannot be read is an `error` event. Ends when `signal` is
   * aborted, when the store is closed, and when the loop over it ends.
   * @throws StateStoreError `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  watch(options: WatchOptions = {}): AsyncGenerator<StateEvent<StateOf<Data>>, void, undefined> {
    const stop = new AbortController()
    return this.#calls.loop(() => {
      assertOptions(options, 'id', 'signal')
      const observations = this.#observe(options.id, [stop.signal, options.signal])
      return eventsOf(observations, entry => ('error' in entry ? entry : this.#typedEntry(entry)))
    }, stop)
  }

  /**
   * Waits until a sandbox is in a state, or is deleted.
   * @param options the signal that ends the wait
   * @returns the sandbox's state then; undefined for `deleted`
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
   * above 1. A change is recorded after it has taken effect, so one that `watch` or `waitFor` has just reported may not be
   * there yet. An entry with a `gap` follows something that was not recorded; a gap at the end shows only with the next
   * entry. Takes no lock and creates nothing.
   * @throws StateStoreError `NOT_FOUND` when there is neither a sandbox nor a history of it; `CORRUPT_STATE` when
   * the history is not a regular file; `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  history(id: string): AsyncGenerator<HistoryEntry, void, undefined> {
    return this.#calls.loop(() => {
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
      // A sandbox whose state cannot be read does exist.
      if (!isUnreadable(error)) throw error
    }
  }

  /**
   * Who owns and who locks each of the given sandboxes, for a view that refreshes often: all locks are looked up at once.
   * Only the lock of a sandbox that cannot be read is known.
   * @internal
   */
  holdersOf(ids: readonly string[]): Promise<ReadonlyMap<string, Holders>> {
    return this.#calls.track(async () => {
      this.#calls.assertOpen()
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
   * folder cannot be read is left out. Creates and changes nothing, and delays no change.
   * @param options filters for the locks
   * @throws StateStoreError `INVALID_ID`, `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend
   * has no locks, `CLOSED`
   */
  locks(options: LocksOptions = {}): AsyncGenerator<HeldLock, void, undefined> {
    return this.#calls.loop(() => {
      assertOptions(options, 'id')
      const { id } = options
      return supported(
        this.#backend.locks?.(id === undefined ? undefined : [id]),
        'a store of this kind has no locks',
      )
    })
  }

  /**
   * Every fault in the store, each once, in no order: damaged states, leftovers of killed processes, wrong modes and
   * owners, files of other programs. Changes nothing. The traces of a change under way do not count as faults.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no check, `CLOSED`
   */
  check(options: CheckOptions = {}): AsyncGenerator<Finding, void, undefined> {
    return this.#calls.loop(() => {
      assertOptions(options, 'onProgress')
      const findings = this.#backend.check?.(inCallersContext(options))
      return supported(findings, 'a store of this kind has no check')
    })
  }

  /**
   * Removes leftovers of killed processes, moves what is damaged to the quarantine, and corrects wrong modes; never
   * deletes or invents a state. Each sandbox is locked as for a change; those that stay busy are skipped.
   * @returns every fault and what was done about it; with `dryRun`, what would be done
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no repair, `CLOSED`
   */
  repair(options: RepairOptions = {}): Promise<readonly Repair[]> {
    return this.#calls.track(() => {
      assertOptions(options, 'dryRun', 'onProgress')
      this.#calls.assertOpen()
      const { dryRun = false } = options
      const repair = this.#backend.repair?.({ ...inCallersContext(options), dryRun })
      return supported(repair, 'a store of this kind has nothing to repair')
    })
  }

  /**
   * Waits for every call made before it, and ends the watches; a loop under way may go on to its end. Every later call
   * fails with `CLOSED`.
   */
  close(): Promise<void> {
    return this.#calls.close(() => this.#backend.close())
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Ends with any of the signals, with the store, and with the loop over it. */
  async *#observe(
    id: string | undefined,
    signals: readonly (AbortSignal | undefined)[],
  ): AsyncGenerator<Observation, void, undefined> {
    const [ended, unsubscribe] = anySignal([this.#calls.closingSignal, ...signals])
    try {
      yield* this.#backend.watch(id, ended)
    } finally {
      unsubscribe()
    }
  }

  /** A state with its data typed by the schema. @throws StateStoreError `INVALID_STATE` */
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

  async #changeAndReturn(
    id: string,
    options: ChangeOptions,
    names: readonly string[],
    prepare: () => Change,
  ): Promise<StateOf<Data>> {
    this.#assertUsable(id)
    return this.#typed(existing(id, await this.#change(id, options, names, prepare)), id)
  }

  /**
   * Changes a sandbox with a valid id, also after `close` was called: a loop under way may go on.
   * @param prepare checks the caller's arguments
   * @param ifOrphanOf only an orphan of this owner is changed
   */
  #change(
    id: string,
    options: ChangeOptions,
    names: readonly string[],
    prepare: () => Change,
    ifOrphanOf?: Owner,
  ): Promise<SandboxState | undefined> {
    return this.#calls.track(() => {
      const change = withSubject(`sandbox ${id}`, { id }, () => {
        assertOptions(options, ...names)
        return prepare()
      })
      const { reason, ifRevision, signal } = options
      signal?.throwIfAborted()
      const { kind } = change
      // To compare the revision, the state must be read.
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

  #assertUsable(id: string): void {
    assertId(id)
    this.#calls.assertOpen()
  }
}

function existing<T>(id: string, found: T | undefined): T {
  if (found === undefined) throw notFound(id)
  return found
}

function isWanted({ state, changedAt, owner }: StoredSandbox, options: ListOptions): boolean {
  const { labels = {}, changedBefore } = options
  if (options.owner !== undefined && options.owner !== (owner?.state ?? 'unowned')) return false
  if (options.state !== undefined && state.state !== options.state) return false
  // Negated, so that an invalid date matches nothing: `olderThan` may reach back beyond all dates.
  if (changedBefore !== undefined && !(Date.parse(changedAt) < changedBefore.getTime())) return false
  return Object.entries(labels).every(([name, text]) => state.labels?.[name] === text)
}

/** When it entered its state. A history may not know: it may be turned off, or not reach back that far. */
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

/** A generator runs in the async context of each `next()`; the caller's function runs in that of the call. */
function inCallersContext({ onProgress }: CheckOptions): CheckOptions {
  return onProgress === undefined ? {} : { onProgress: AsyncResource.bind(onProgress) }
}

function supported<T>(result: T | undefined, message: string): T {
  if (result === undefined) throw new StateStoreError('UNSUPPORTED', message)
  return result
}
