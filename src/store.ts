/// <reference lib="esnext.disposable" preserve="true" />
import { resolve } from 'node:path'
import { onAbort } from './abort.js'
import type { Backend, HeldLock, HistoryEntry, ListEntry, Sighting } from './backend.js'
import { type Change, notFound, type Update } from './change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from './check.js'
import { told } from './diagnostics.js'
import { StateStoreError } from './errors.js'
import type { EtcdOptions } from './etcd/options.js'
import { FileBackend } from './file/backend.js'
import { assertOptions, assertProgress, assertSignal, flag } from './options.js'
import { assertRoot, isEtcdRoot } from './root.js'
import { assertId } from './sandbox-id.js'
import { isValidState, type NextState, type StateString } from './state/machine.js'
import type { SandboxFields, SandboxState } from './state/sandbox-state.js'
import { show } from './state/show.js'
import { eventsOf, leavable, type StateEvent } from './watch.js'

/** How to open a store. */
export interface StoreOptions {
  /**
   * How long a change waits for a sandbox that others hold, in ms; 10,000 by default. 0 tries once. On etcd, how long
   * it goes on while others change the sandbox first; and so long, 5,000 at the least, any call waits for etcd.
   */
  readonly lockTimeout?: number
  /**
   * Whether a change is on the disk before it is acknowledged; true by default. Without it a power cut can undo it.
   * etcd always waits for its disks.
   */
  readonly durable?: boolean
  /** Whether each change is noted in the sandbox's history; true by default. */
  readonly history?: boolean
  /** For a root on etcd: what it takes to be let in. */
  readonly etcd?: EtcdOptions
}

/** How to delete. */
export interface DeleteOptions {
  /** Whether to delete a sandbox that is running, or whose state cannot be read; false by default. */
  readonly force?: boolean
}

/** What to list. */
export interface ListOptions {
  /** Only sandboxes in this state. Entries that cannot be read are listed whatever it is. */
  readonly state?: StateString
}

/** Whose locks. */
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
 * @throws TypeError for bad arguments; StateStoreError `UNSUPPORTED` on another system than Linux or macOS
 * @group The store
 */
export async function openStore(root: string, options: StoreOptions = {}): Promise<SandboxStore> {
  assertRoot(root)
  const complete = completeOptions(options)
  if (isEtcdRoot(root)) {
    const { openEtcd } = await import('./etcd/backend.js')
    return new SandboxStore(openEtcd(root, options.etcd, complete))
  }
  if (options.etcd !== undefined)
    throw new TypeError('the option etcd is for a root such as etcd://host:2379')
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    const message = `sandbox-state needs flock(2) of Linux or macOS; this is ${process.platform}`
    throw new StateStoreError('UNSUPPORTED', message)
  }
  return new SandboxStore(new FileBackend(resolve(root), complete))
}

/**
 * Remembers the state of sandboxes, and lets it change only as the state machine allows. Made by {@link openStore}.
 * @group The store
 */
export class SandboxStore {
  // Truly private: what an inspection of a store prints may end in a log, and the backend knows etcd's password.
  readonly #backend: Backend
  private closed = false
  private readonly closing = new AbortController()

  /** @internal */
  constructor(backend: Backend) {
    this.#backend = backend
  }

  /**
   * Makes a sandbox. It starts `ready`.
   * @param id 1 to 128 ASCII letters, digits, `_`, `.` or `-`, beginning with a letter or digit
   * @throws StateStoreError `ALREADY_EXISTS` `INVALID_ID` `INVALID_STATE` (a field) `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  async create(id: string, fields: SandboxFields = {}): Promise<SandboxState> {
    return this.changed(id, ({ parseSandboxFields }) => ({
      kind: 'create',
      state: { state: 'ready', ...about(id, () => parseSandboxFields(fields)) },
    }))
  }

  /**
   * As {@link create}, but with a whole state: for a sandbox whose life began in another store.
   * @internal
   */
  async adopt(id: string, state: SandboxState): Promise<SandboxState> {
    return this.changed(id, ({ parseSandboxState }) => ({
      kind: 'create',
      state: about(id, () => parseSandboxState(state)),
    }))
  }

  /**
   * A sandbox's state as it is on the disk. Takes no lock and makes nothing.
   * @throws StateStoreError `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `INVALID_STATE` `IO_ERROR` `CLOSED`
   */
  async read(id: string): Promise<SandboxState> {
    this.assertUsable(id)
    const state = await this.#backend.read(id)
    if (state === undefined) throw notFound(id)
    return state
  }

  /**
   * Moves a sandbox from one state to another (Kata's `ValidTransition`, and the write after it).
   * @param from the state that the caller believes it to be in (Kata's `oldState`)
   * @param to the state to move it to (Kata's `newState`)
   * @throws StateStoreError `STATE_MISMATCH` when it is in another; `INVALID_TRANSITION` when the state machine has no
   * such move; `NOT_FOUND` `INVALID_ID` `INVALID_STATE` `CORRUPT_STATE` `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  async transition<From extends StateString>(
    id: string,
    from: From,
    to: NextState<From>,
  ): Promise<SandboxState> {
    assertState('from', from)
    assertState('to', to)
    return this.changed(id, { kind: 'transition', from, to })
  }

  /**
   * Changes a sandbox's fields: the function is given the state and returns the next one. It runs once, while the
   * sandbox is locked; so it should do nothing else. (It runs again, on the newer state, if this process stood still
   * in it so long that another program's proper-lockfile took the lock for one left behind; and on etcd, which has
   * no lock, when another process changed the sandbox meanwhile.) A new `state` must be one that the state machine
   * allows.
   * @throws TypeError when it returns a promise or nothing; what the function throws; StateStoreError
   * `INVALID_TRANSITION` `INVALID_STATE` (a field) `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE` `LOCK_TIMEOUT`
   * `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`. The sandbox then is as it was, except after `OUTCOME_UNKNOWN`.
   */
  async update(id: string, update: Update): Promise<SandboxState> {
    if (typeof update !== 'function')
      throw new TypeError(`an update must be a function, not ${typeof update}`)
    return this.changed(id, ({ parseSandboxState }) => ({
      kind: 'update',
      update: state => {
        const next: unknown = update(state)
        return about(id, () => parseSandboxState(synchronous(next)))
      },
    }))
  }

  /**
   * Deletes a sandbox that is not running, as Kata does; with `force`, also a running one, or one whose state
   * cannot be read. What others keep in its folder stays.
   * @throws StateStoreError `INVALID_TRANSITION` when it is running; `NOT_FOUND` `INVALID_ID` `CORRUPT_STATE`
   * `INVALID_STATE` `LOCK_TIMEOUT` `OUTCOME_UNKNOWN` `IO_ERROR` `CLOSED`
   */
  async delete(id: string, options: DeleteOptions = {}): Promise<void> {
    assertOptions(options, 'force')
    const force = flag('force', options.force, false)
    this.assertUsable(id)
    await this.make(id, { kind: 'delete', force })
  }

  /**
   * Every sandbox, sorted by id; one that cannot be read is an entry with its error. Takes no lock and makes nothing.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `CLOSED`
   */
  async *list(options: ListOptions = {}): AsyncGenerator<ListEntry, void, undefined> {
    assertOptions(options, 'state')
    const { state } = options
    if (state !== undefined) assertState('state', state)
    this.assertOpen()
    for await (const entry of this.#backend.list()) {
      if (state === undefined || 'error' in entry || entry.state.state === state) yield entry
    }
  }

  /**
   * Follows one sandbox or all of them, whoever changes them: first what is there, as `created`, then what happens.
   * States that were soon overtaken may be skipped, the last one never; so a sandbox that was deleted and made again at
   * once may be `changed`. A sandbox that cannot be read is an `error` event. Ends when `signal` is aborted, when the store
   * is closed, and when the loop over it is left.
   * @throws StateStoreError `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  watch(options: WatchOptions = {}): AsyncGenerator<StateEvent, void, undefined> {
    const left = new AbortController()
    return leavable(this.events(options, left.signal), () => left.abort(ENDED))
  }

  private async *events(
    options: WatchOptions,
    left: AbortSignal,
  ): AsyncGenerator<StateEvent, void, undefined> {
    assertOptions(options, 'id', 'signal')
    const { id, signal } = options
    if (id !== undefined) assertId(id)
    assertSignal(signal)
    this.assertOpen()
    yield* eventsOf(this.sightings(id, [left, signal]))
  }

  /**
   * Waits until a sandbox is in a state, or is deleted.
   * @param options the signal that ends the wait
   * @returns the state that it then has; undefined for `deleted`
   * @throws what the `signal` was aborted with; StateStoreError `NOT_FOUND` when the sandbox does not exist, or is
   * deleted while another state is awaited; `CORRUPT_STATE` `INVALID_STATE` `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  async waitFor(id: string, state: StateString, options?: WaitOptions): Promise<SandboxState>
  /** Waits until a sandbox is deleted, as above. */
  async waitFor(id: string, state: 'deleted', options?: WaitOptions): Promise<undefined>
  /** Waits for either, as above. */
  async waitFor(
    id: string,
    state: StateString | 'deleted',
    options?: WaitOptions,
  ): Promise<SandboxState | undefined>
  async waitFor(
    id: string,
    state: StateString | 'deleted',
    options: WaitOptions = {},
  ): Promise<SandboxState | undefined> {
    assertOptions(options, 'signal')
    const { signal } = options
    assertSignal(signal)
    if (state !== 'deleted') assertState('state', state, 'ready, running, paused, stopped or deleted')
    this.assertUsable(id)
    signal?.throwIfAborted()
    for await (const sighting of this.sightings(id, [signal])) {
      if ('error' in sighting) throw sighting.error
      if ('gone' in sighting) {
        if (state === 'deleted') return undefined
        throw notFound(id)
      }
      if (sighting.state.state === state) return sighting.state
    }
    signal?.throwIfAborted()
    throw closedError()
  }

  /**
   * The recorded changes of a sandbox, oldest first. Old ones go as the history grows: a first `seq` above 1 tells.
   * An entry with a `gap` follows something that was not recorded; what was not recorded after the last entry is
   * told by the next one only. Takes no lock and makes nothing.
   * @throws StateStoreError `NOT_FOUND` when there is neither a sandbox nor a history of it; `CORRUPT_STATE` when
   * the history is kept in something else than a file; `INVALID_ID` `IO_ERROR` `CLOSED`
   */
  async *history(id: string): AsyncGenerator<HistoryEntry, void, undefined> {
    this.assertUsable(id)
    let recorded = false
    for await (const entry of this.#backend.history(id)) {
      recorded = true
      yield entry
    }
    if (!recorded && !(await this.exists(id))) throw notFound(id)
  }

  /**
   * Every lock that is held now, by us, Kata, flock(1) or a program with proper-lockfile, sorted by id. Makes and
   * changes nothing.
   * @param options whose
   * @throws StateStoreError `INVALID_ID`, `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend
   * cannot tell, `CLOSED`
   */
  async *locks(options: LocksOptions = {}): AsyncGenerator<HeldLock, void, undefined> {
    assertOptions(options, 'id')
    const { id } = options
    if (id !== undefined) assertId(id)
    this.assertOpen()
    const locks = this.#backend.locks?.(id)
    if (locks === undefined) {
      throw new StateStoreError('UNSUPPORTED', 'a store of this kind has no locks')
    }
    yield* locks
  }

  /**
   * Every fault of what is kept, each once, in no order: damaged states, what killed processes left, wrong rights,
   * what is not ours. Changes nothing, and takes no fault of a change under way for one.
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no check, `CLOSED`
   */
  async *check(options: CheckOptions = {}): AsyncGenerator<Finding, void, undefined> {
    assertOptions(options, 'onProgress')
    assertProgress(options.onProgress)
    this.assertOpen()
    const findings = this.#backend.check?.(options)
    if (findings === undefined) throw new StateStoreError('UNSUPPORTED', 'a store of this kind has no check')
    for await (const finding of findings) {
      this.assertOpen()
      yield finding
    }
  }

  /**
   * Removes what killed processes left, moves what is damaged to the quarantine, and sets wrong modes right; never
   * deletes a state and never makes one. Each sandbox is locked as for a change, those that stay busy are skipped.
   * @returns every fault that was found and what became of it; with `dryRun`, what would
   * @throws StateStoreError `IO_ERROR` when the root cannot be read, `UNSUPPORTED` where the backend has no repair, `CLOSED`
   */
  async repair(options: RepairOptions = {}): Promise<readonly Repair[]> {
    assertOptions(options, 'dryRun', 'onProgress')
    const dryRun = flag('dryRun', options.dryRun, false)
    assertProgress(options.onProgress)
    this.assertOpen()
    const repaired = this.#backend.repair?.({ ...options, dryRun })
    if (repaired === undefined)
      throw new StateStoreError('UNSUPPORTED', 'a store of this kind has nothing to repair')
    return repaired
  }

  /** Waits for the changes under way and lets go of everything. Whatever is called afterwards ends with `CLOSED`. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.closing.abort(ENDED)
    await loading?.catch(() => {}) // A change that was asked for before begins only then, or fails by itself.
    await this.#backend.close()
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Ends with any of the signals, with the store, and when the loop over it is left. */
  private async *sightings(
    id: string | undefined,
    signals: readonly (AbortSignal | undefined)[],
  ): AsyncGenerator<Sighting, void, undefined> {
    // AbortSignal.any would keep some bytes for each call as long as the longest-lived of its signals.
    const ended = new AbortController()
    const end = () => ended.abort(ENDED)
    const takeBack = [this.closing.signal, ...signals].map(signal => signal && onAbort(signal, end))
    try {
      yield* this.#backend.watch(id, ended.signal)
    } finally {
      for (const back of takeBack) back?.()
      end()
    }
  }

  private async changed(id: string, change: Change | Checked): Promise<SandboxState> {
    this.assertUsable(id)
    const state = await this.make(id, change)
    if (state === undefined) throw notFound(id)
    return state
  }

  /** Changes begin in the order in which they are asked for, those that need no schema behind those that wait for it. */
  private async make(id: string, change: Change | Checked): Promise<SandboxState | undefined> {
    if (typeof change === 'function') {
      const checked = change(loaded ?? (await load()))
      return told(id, checked, made => this.#backend.change(id, made))
    }
    if (loaded === undefined) await loading // Of one promise, and so in the order in which they began to wait.
    return told(id, change, made => this.#backend.change(id, made))
  }

  /** One whose state cannot be read exists all the same. */
  private async exists(id: string): Promise<boolean> {
    try {
      return (await this.#backend.read(id)) !== undefined
    } catch (error) {
      if (error instanceof StateStoreError && error.code !== 'IO_ERROR') return true
      throw error
    }
  }

  private assertUsable(id: string): void {
    assertId(id)
    this.assertOpen()
  }

  private assertOpen(): void {
    if (this.closed) throw closedError()
  }
}

/** A reason that nobody sees. Without one, each signal would make an error and its stack. */
const ENDED = 'ended'

function closedError(): StateStoreError {
  return new StateStoreError('CLOSED', 'this store is closed')
}

type Schema = typeof import('./state/schema.js')

/** A change whose state is to be checked by the schema. */
type Checked = (schema: Schema) => Change

let loading: Promise<Schema> | undefined
let loaded: Schema | undefined

/** Loaded when first needed: zod takes longer to load than all else, and a read does without. */
function load(): Promise<Schema> {
  loading ??= import('./state/schema.js').then(schema => {
    loaded = schema
    return schema
  })
  return loading
}

function completeOptions(options: StoreOptions): Required<Omit<StoreOptions, 'etcd'>> {
  assertOptions(options, 'lockTimeout', 'durable', 'history', 'etcd')
  const { lockTimeout = 10_000, durable, history } = options
  if (typeof lockTimeout !== 'number' || !(lockTimeout >= 0)) {
    throw new TypeError(`lockTimeout must be a number of milliseconds from 0, not ${show(lockTimeout)}`)
  }
  return { lockTimeout, durable: flag('durable', durable, true), history: flag('history', history, true) }
}

function assertState(
  name: string,
  value: unknown,
  choices = 'ready, running, paused or stopped',
): asserts value is StateString {
  if (isValidState(value)) return
  if (typeof value !== 'string') throw new TypeError(`${name} must be a state, not ${show(value)}`)
  const message = `${show(value)} is not a state: ${choices}`
  throw new StateStoreError('INVALID_STATE', message)
}

/** In what is wrong with a state the sandbox is not named. */
function about<T>(id: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    throw new StateStoreError(error.code, `sandbox ${id}: ${error.message}`, { id, cause: error })
  }
}

function synchronous(result: unknown): unknown {
  if (typeof result !== 'object' || result === null) {
    throw new TypeError('an update must return the new state')
  }
  if ('then' in result && typeof result.then === 'function') {
    result.then(undefined, () => {}) // Its failure, should it come, is nobody's.
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
