import type { Backend, HeldLock, HistoryEntry, ListEntry, Sighting } from '../backend.js'
import type { Change } from '../change.js'
import type { CheckOptions, Finding, Repair, RepairOptions } from '../check.js'
import { StateStoreError } from '../errors.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { Changes, ChangesOptions } from './changes.js'
import { readHistory } from './history-read.js'
import { listIds, readSandbox } from './read.js'
import { endTurn, isTurnOver } from './turn.js'
import { watchFiles } from './watch.js'

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
    if (isTurnOver()) await endTurn()
    return readSandbox(this.root, id)
  }

  async *list(): AsyncGenerator<ListEntry> {
    if (isTurnOver()) await endTurn()
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
    if (isTurnOver()) await endTurn()
    yield* readHistory(this.root, id)
  }

  async *locks(id: string | undefined): AsyncGenerator<HeldLock, void, undefined> {
    if (isTurnOver()) await endTurn()
    const { listLocks } = await import('./locks.js')
    yield* listLocks(this.root, id)
  }

  async *check(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
    if (isTurnOver()) await endTurn()
    const { checkFiles } = await import('./check.js')
    yield* checkFiles(this.root, options)
  }

  async repair(options: RepairOptions): Promise<readonly Repair[]> {
    if (isTurnOver()) await endTurn()
    const { repairFiles } = await import('./repair.js')
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
    this.changes ??= import('./changes.js').then(({ Changes }) => new Changes(this.root, this.options))
    return this.changes
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.repairs)
    await (await this.changes)?.close()
  }
}
