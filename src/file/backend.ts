import { fchmodSync, statfsSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend, ListEntry } from '../backend.js'
import { alreadyExists, applyChange, type Change, notFound } from '../change.js'
import { StateStoreError } from '../errors.js'
import { KeyedQueue } from '../queue.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { DiskThreads } from './disk-threads.js'
import { ioError, isErrno } from './errno.js'
import { SandboxFolder } from './folder.js'
import { FOLDER_MODE } from './layout.js'
import type { LockedSandbox, Patience } from './lock.js'
import { listIds, readSandbox } from './read.js'
import { readStateFile } from './state-file.js'

export interface FileOptions {
  /** How long a change waits for the locks, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
  readonly history: boolean
}

/** Changes of one sandbox in this process, whichever store they come through, queue here and need not poll for the lock. */
const queue = new KeyedQueue()

/** After so many ms of reading one file after another, a listing lets the event loop turn. */
const TURN = 5

/** Keeps each sandbox's state in a file of its own below a root folder. */
export class FileBackend implements Backend {
  private readonly underWay = new Set<Promise<unknown>>()
  private threads: DiskThreads | undefined
  private inMemory: boolean | undefined

  constructor(
    /** An absolute path. */
    private readonly root: string,
    private readonly options: FileOptions,
  ) {}

  read(id: string): Promise<SandboxState | undefined> {
    return readSandbox(this.root, id)
  }

  async *list(): AsyncGenerator<ListEntry> {
    let turn = performance.now()
    for (const id of listIds(this.root)) {
      const entry = await this.entry(id)
      if (entry !== undefined) yield entry
      if (performance.now() - turn < TURN) continue
      await nextTurn()
      turn = performance.now()
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
    const { lockTimeout } = this.options
    const patience = { deadline: performance.now() + lockTimeout, timeout: lockTimeout }
    const result = queue.run(join(this.root, id), () => this.changeInTurn(id, change, patience))
    this.underWay.add(result)
    try {
      return await result
    } finally {
      this.underWay.delete(result)
    }
  }

  /** Lock, change, unlock. While another program holds its lock on the state file, ours is free for others. */
  private async changeInTurn(id: string, change: Change, patience: Patience): Promise<SandboxState | undefined> {
    const { unlock, waitOrGiveUp } = await import('./lock.js')
    const { BUSY } = await import('./change.js')
    for (let attempt = 0; ; attempt++) {
      const sandbox = await this.lock(id, change, patience)
      let result: SandboxState | undefined | typeof BUSY
      try {
        result = await this.changeLocked(sandbox, change)
      } finally {
        unlock(sandbox)
      }
      if (result !== BUSY) return result
      await waitOrGiveUp(this.root, id, 'proper-lockfile', patience, attempt)
    }
  }

  private async lock(id: string, change: Change, patience: Patience): Promise<LockedSandbox> {
    const { lockSandbox } = await import('./lock.js')
    for (;;) {
      const creates = change.kind === 'create'
      if (creates) await this.makeFolder(id)
      const sandbox = await lockSandbox(this.root, id, patience, creates)
      if (sandbox !== undefined) return sandbox
      // A deletion came between the folder and its lock, or there is a state file without a lock file beside it.
      if (!creates && !this.hasState(id)) throw notFound(id)
      const locked = creates ? undefined : await lockSandbox(this.root, id, patience, true)
      if (locked !== undefined) return locked
    }
  }

  private hasState(id: string): boolean {
    const folder = SandboxFolder.open(this.root, id)
    if (folder === undefined) return false
    try {
      return readStateFile(folder) !== undefined
    } finally {
      folder.close()
    }
  }

  /** Makes a sandbox's folder, or finds it there without a sandbox in it. */
  private async makeFolder(id: string): Promise<void> {
    const path = join(this.root, id)
    const { isTaken } = await import('./change.js')
    let made = true
    try {
      await makeRoot(this.root)
      await mkdir(path, { mode: FOLDER_MODE })
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw ioError(error, 'make', id, path)
      made = false
    }
    const folder = SandboxFolder.open(this.root, id)
    if (folder === undefined) return
    try {
      if (made) fchmodSync(folder.fd, FOLDER_MODE)
      if (isTaken(folder)) throw alreadyExists(id)
    } finally {
      folder.close()
    }
  }

  private async changeLocked(sandbox: LockedSandbox, change: Change) {
    const { durable, history } = this.options
    if (durable && !this.isInMemory(sandbox)) {
      const { DiskThreads } = await import('./disk-threads.js')
      this.threads ??= new DiskThreads()
      return this.threads.run(sandbox, change, { durable, history })
    }
    const { changeLocked } = await import('./change.js')
    const apply = (current: SandboxState | undefined) => applyChange(change, current, sandbox.folder.id)
    return changeLocked(sandbox, change, apply, { durable, history })
  }

  /**
   * Whether there is no disk to wait for. On tmpfs a whole change takes about 0.1 ms of system calls and a flush
   * nothing, so it runs right here, ten times as fast as through a thread; on a disk a flush takes 0.3 ms and up,
   * with no bound, and would hold up the whole program.
   */
  private isInMemory(sandbox: LockedSandbox): boolean {
    this.inMemory ??= MEMORY_FILESYSTEMS.has(statfsSync(dirname(sandbox.folder.path)).type)
    return this.inMemory
  }

  async close(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay)
    await this.threads?.close()
  }
}

/** tmpfs and ramfs, as statfs(2) numbers them. */
const MEMORY_FILESYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

/** A root that is new must itself survive a power cut: each folder on the way to it is flushed into its parent. */
async function makeRoot(root: string): Promise<void> {
  const first = await mkdir(root, { recursive: true, mode: FOLDER_MODE })
  if (first === undefined) return
  for (let folder = root; folder.length >= first.length; folder = dirname(folder)) {
    const parent = await open(dirname(folder), 'r')
    try {
      await parent.sync()
    } finally {
      await parent.close()
    }
  }
}
