import type { Backend, HeldLock, HistoryEntry, ListEntry, Sighting } from '../backend.js'
import type { Change } from '../change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from '../check.js'
import { StateStoreError } from '../errors.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { Changes, ChangesOptions } from './commit-pool.js'
import { readHistory } from './history-read.js'
import { listIds, readSandbox } from './read.js'
import { sliceExpired, yieldToEventLoop } from './time-slice.js'
import { watchFiles } from './watch/watch.js'

/** Keeps each sandbox's state in a file of its own below a root folder. */
export class FileBackend implements Backend {
  private changes: Promise<Changes> | undefined
  private loaded: Changes | undefined
  private readonly repairs = new Set<Promise<unknown>>()

  constructor(
    /** An absolute path. */
    private readonly root: string,
    private readonly options: ChangesOptions,
  ) {}

  async read(id: string): Promise<SandboxState | undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    return readSandbox(this.root, id)
  }

  async *list(): AsyncGenerator<ListEntry> {
    if (sliceExpired()) await yieldToEventLoop()
    for (const id of listIds(this.root)) {
      const entry = await this.entry(id)
      if (entry !== undefined) yield entry
    }
  }

  private async entry(id: string): Promise<ListEntry | undefined> {
    try {
      const state = await this.read(id)
      return state && { id, state }
    } catch (error) {
      if (error instanceof StateStoreError) return { id, error }
      throw error
    }
  }

  async change(id: string, change: Change): Promise<SandboxState | undefined> {
    this.loaded ??= await this.loadChanges()
    return this.loaded.change(id, change)
  }

  watch(id: string | undefined, signal: AbortSignal): AsyncIterable<Sighting> {
    return watchFiles(this.root, id, signal)
  }

  async *history(id: string): AsyncGenerator<HistoryEntry> {
    if (sliceExpired()) await yieldToEventLoop()
    yield* readHistory(this.root, id)
  }

  async *locks(id: string | undefined): AsyncGenerator<HeldLock, void, undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    const { listLocks } = await import('./lock/list-locks.js')
    yield* listLocks(this.root, id)
  }

  async *check(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
    if (sliceExpired()) await yieldToEventLoop()
    const { checkFiles } = await import('./check/check.js')
    yield* checkFiles(this.root, options)
  }

  async repair(options: RepairOptions): Promise<readonly Repair[]> {
    if (sliceExpired()) await yieldToEventLoop()
    const { repairFiles } = await import('./check/repair.js')
    const { lockTimeout, durable } = this.options
    const repair = repairFiles(this.root, { ...options, lockTimeout, durable })
    this.repairs.add(repair)
    try {
      return await repair
    } finally {
      this.repairs.delete(repair)
    }
  }

  /** Reading needs none of the packages that changing does; a command that only reads starts without them. */
  private loadChanges(): Promise<Changes> {
    this.changes ??= import('./commit-pool.js').then(({ Changes }) => new Changes(this.root, this.options))
    return this.changes
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.repairs)
    await (await this.changes)?.close()
  }
}
