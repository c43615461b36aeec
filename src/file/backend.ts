import type {
  Apply,
  Backend,
  ChangeRequest,
  HeldLock,
  HistoryEntry,
  ListEntry,
  Observation,
  Ownership,
  OwnOptions,
  StoredSandbox,
} from '../backend.js'
import { notFound } from '../change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from '../check.js'
import { ownError } from '../errors.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { checkFiles } from './check/check.js'
import { repairFiles } from './check/repair.js'
import { CommitPool } from './commit-pool.js'
import { readHistory } from './history-read.js'
import { recordContention, yieldIfHogging } from './lock/fairness.js'
import { listLocks } from './lock/list-locks.js'
import { inTurn } from './lock/turn.js'
import type { LockWait } from './lock/wait.js'
import { own } from './own.js'
import { modifiedAt } from './posix/file-stat.js'
import { listIds, readSandbox } from './read.js'
import { versionOf } from './state-file.js'
import { sliceExpired, yieldToEventLoop } from './time-slice.js'
import { watchFiles } from './watch/watch.js'

export interface FileOptions {
  /** How long a change waits for the locks, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
  readonly history: boolean
}

/** Stores each sandbox's state in a file of its own below a root folder. */
export class FileBackend implements Backend {
  private readonly pool: CommitPool
  private changesUnderWay = 0
  private rootIsFlushed = false
  private lockIsTested = false

  constructor(
    /** An absolute path. */
    private readonly root: string,
    private readonly options: FileOptions,
  ) {
    this.pool = new CommitPool(root)
  }

  async change(id: string, change: ChangeRequest): Promise<SandboxState | undefined> {
    const { signal, trace } = change
    const { lockTimeout } = this.options
    const path = `${this.root}/${id}`
    this.changesUnderWay++
    try {
      return await inTurn(path, id, { lockTimeout, signal, trace }, wait => this.retry(id, change, wait))
    } finally {
      this.changesUnderWay--
    }
  }

  private async retry(id: string, change: ChangeRequest, wait: LockWait): Promise<SandboxState | undefined> {
    const { kind, force, reason, ifOrphanOf } = change
    const { durable, history } = this.options
    const path = `${this.root}/${id}`
    let next: SandboxState | undefined
    const apply: Apply = (current, revision) => {
      next = change.apply(current, revision)
      return next
    }
    for (let losses = 0; ; ) {
      if (sliceExpired()) await yieldToEventLoop()
      const rest = yieldIfHogging(path, wait.left)
      if (rest !== undefined) await rest
      const checks = { testLock: !this.lockIsTested, flushRoot: !this.rootIsFlushed }
      const request = { kind, force, reason, ifOrphanOf, durable, history, spin: wait.spin, ...checks }
      const attempted = this.pool.attempt(id, request, apply, this.changesUnderWay === 1)
      const attempt = 'then' in attempted ? await attempted : attempted
      if (wait.wasBlocked && attempt.kind !== 'blocked') recordContention(path)
      switch (attempt.kind) {
        case 'committed':
          this.lockIsTested = true
          if (kind === 'create') this.rootIsFlushed = true
          return next
        case 'missing':
          if (kind !== 'create') throw notFound(id)
          await wait.backOff('flock') // The folder was removed meanwhile, by a delete for example.
          break
        case 'blocked':
          await wait.backOff(attempt.by)
          break
        case 'lost':
          // Once, retry at once, even after the deadline: nobody need hold the lock now.
          if (losses++ > 0) await wait.backOff('proper-lockfile')
      }
    }
  }

  async read(id: string): Promise<SandboxState | undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    return (await readSandbox(this.root, id))?.state
  }

  async find(id: string): Promise<StoredSandbox | undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    const file = await readSandbox(this.root, id, true)
    if (file === undefined) return undefined
    const { state, stat, owner } = file
    return { id, state, changedAt: modifiedAt(stat), revision: versionOf(stat), ...(owner && { owner }) }
  }

  async *list(): AsyncGenerator<ListEntry> {
    if (sliceExpired()) await yieldToEventLoop()
    for (const id of listIds(this.root)) {
      try {
        const found = await this.find(id)
        if (found !== undefined) yield found
      } catch (error) {
        yield { id, error: ownError(error) }
      }
    }
  }

  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Observation> {
    return watchFiles(this.root, id, signal)
  }

  async *history(id: string): AsyncGenerator<HistoryEntry> {
    if (sliceExpired()) await yieldToEventLoop()
    yield* readHistory(this.root, id)
  }

  async *locks(ids: readonly string[] | undefined): AsyncGenerator<HeldLock, void, undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    yield* listLocks(this.root, ids)
  }

  async own(id: string, options: OwnOptions): Promise<Ownership> {
    const { lockTimeout, durable } = this.options
    return own(this.root, id, { ...options, lockTimeout, durable })
  }

  async *check(options: CheckOptions & { readonly id?: string }): AsyncGenerator<Finding, void, undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    yield* checkFiles(this.root, options)
  }

  async repair(options: RepairOptions): Promise<readonly Repair[]> {
    if (sliceExpired()) await yieldToEventLoop()
    const { lockTimeout, durable } = this.options
    return repairFiles(this.root, { ...options, lockTimeout, durable })
  }

  async close(): Promise<void> {
    await this.pool.close()
  }
}
