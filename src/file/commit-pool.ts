import { fchmodSync, mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { applyChange, type Change, notFound } from '../change.js'
import { areLockWaitsWanted } from '../diagnostics.js'
import { ioError, isErrno } from '../errno.js'
import { KeyedQueue } from '../queue.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { assertFree, BUSY, changeLocked, find } from './commit.js'
import { DiskThreads } from './disk-threads.js'
import { longestFlush } from './flush.js'
import { FOLDER_MODE } from './layout.js'
import type { LockWait } from './lock/lock-wait.js'
import { type LockedSandbox, lockSandbox, type Patience, unlock, waitOrGiveUp } from './lock/sandbox-lock.js'
import { Dir } from './posix/dir.js'
import { assertFolder, flushWayTo, makeRootFolder } from './root-dir.js'
import { sliceExpired, yieldToEventLoop } from './time-slice.js'

export interface ChangesOptions {
  /** How long a change waits for the locks, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
  readonly history: boolean
}

/** Changes of one sandbox in this process, whichever store they come through, queue here and need not poll for the lock. */
const queue = new KeyedQueue()

/** The changes of the sandboxes below one root. */
export class Changes {
  private readonly underWay = new Set<Promise<unknown>>()
  private readonly threads = new DiskThreads(took => this.flushed(took))
  /** Of the last change that flushed, its longest flush, in ms. */
  private flushTime = 0
  private inMemory: boolean | undefined
  private rootIsFlushed = false

  constructor(
    private readonly root: string,
    private readonly options: ChangesOptions,
  ) {}

  async change(id: string, change: Change): Promise<SandboxState | undefined> {
    const { lockTimeout } = this.options
    const patience = { deadline: performance.now() + lockTimeout, timeout: lockTimeout }
    const result = queue.run(join(this.root, id), () => this.inTurn(id, change, patience))
    this.underWay.add(result)
    try {
      return await result
    } finally {
      this.underWay.delete(result)
    }
  }

  private async inTurn(id: string, change: Change, patience: Patience): Promise<SandboxState | undefined> {
    if (!areLockWaitsWanted()) return this.attempt(id, change, patience)
    const { LockWait } = await import('./lock/lock-wait.js')
    const wait = new LockWait(this.root, id, change.kind)
    let failure: unknown
    try {
      return await this.attempt(id, change, { ...patience, blocked: lock => wait.blocked(lock) }, wait)
    } catch (error) {
      failure = error
      throw error
    } finally {
      wait.publish(failure)
    }
  }

  /** Lock, change, unlock. While another program holds its lock on the state file, ours is free for others. */
  private async attempt(
    id: string,
    change: Change,
    patience: Patience,
    wait?: LockWait,
  ): Promise<SandboxState | undefined> {
    for (let attempt = 0; ; attempt++) {
      if (sliceExpired()) await yieldToEventLoop()
      const sandbox = await this.lock(id, change, patience)
      wait?.entered()
      let result: SandboxState | undefined | typeof BUSY
      try {
        result = await this.run(sandbox, change)
      } finally {
        unlock(sandbox)
      }
      if (result !== BUSY) return result
      await waitOrGiveUp(this.root, id, 'proper-lockfile', patience, attempt)
    }
  }

  private async run(sandbox: LockedSandbox, change: Change): Promise<SandboxState | undefined | typeof BUSY> {
    const { durable, history } = this.options
    if (durable && !this.isQuick()) return this.threads.run(sandbox, change, { durable, history })
    const apply = (current: SandboxState | undefined) => applyChange(change, current, sandbox.folder.id)
    try {
      return await changeLocked(sandbox, change, apply, { durable, history })
    } finally {
      const took = longestFlush()
      if (took > 0) this.flushed(took)
    }
  }

  /**
   * Whether a change is over so soon that it is best made right here: its system calls take about 0.1 ms and a flush
   * on tmpfs nothing; on a disk two flushes, each some 0.1 ms on a good day, with no bound on a bad one. A thread
   * costs as much again, which is worth it where there is much to wait for, or to make at once.
   */
  private isQuick(): boolean {
    return this.isInMemory() || (this.underWay.size === 1 && this.flushTime < LONGEST_FLUSH)
  }

  private flushed(took: number): void {
    this.flushTime = took
  }

  private isInMemory(): boolean {
    try {
      this.inMemory ??= MEMORY_FILESYSTEMS.has(statfsSync(this.root).type)
    } catch {
      // What is right on a disk is right everywhere.
    }
    return this.inMemory ?? false
  }

  private async lock(id: string, change: Change, patience: Patience): Promise<LockedSandbox> {
    const creates = change.kind === 'create'
    for (;;) {
      if (creates) await this.makeFolder(id)
      // A state file that was put there by other means has no lock file beside it; where there is no state, none is made.
      const sandbox =
        (await lockSandbox(this.root, id, patience, creates)) ??
        (!creates && isThere(this.root, id, change)
          ? await lockSandbox(this.root, id, patience, true)
          : undefined)
      if (sandbox !== undefined) return sandbox
      if (!creates) throw notFound(id)
    }
  }

  private async makeFolder(id: string): Promise<void> {
    try {
      if (makeRootFolder(this.root) || !this.rootIsFlushed) await this.flushRoot()
    } catch (error) {
      assertFolder(this.root, id, error)
      throw ioError(error, 'make', id, this.root)
    }
    makeFolder(this.root, id)
  }

  /**
   * A root that is new must itself survive a power cut. One that is there may be as new: whoever made it may have
   * been killed before its name was flushed. So the first sandbox that a store makes flushes the way to it, too.
   */
  private async flushRoot(): Promise<void> {
    if (this.options.durable) await flushWayTo(this.root)
    this.rootIsFlushed = true
  }

  /** Waits for the changes under way. */
  async close(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled(this.underWay)
    await this.threads.close()
  }
}

/** The event loop may have to wait for two flushes of so many ms, not for longer ones. */
const LONGEST_FLUSH = 2

/** tmpfs and ramfs, as statfs(2) numbers them. */
const MEMORY_FILESYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

function isThere(root: string, id: string, change: Change): boolean {
  const folder = Dir.open(root, id)
  if (folder === undefined) return false
  try {
    return find(folder, change) !== undefined
  } finally {
    folder.close()
  }
}

/** Makes a sandbox's folder, or finds it there without a sandbox in it. */
function makeFolder(root: string, id: string): void {
  const path = join(root, id)
  let made = true
  try {
    mkdirSync(path, { mode: FOLDER_MODE })
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw ioError(error, 'make', id, path)
    made = false
  }
  const folder = Dir.open(root, id)
  if (folder === undefined) return
  try {
    if (made) setMode(folder)
    assertFree(folder)
  } finally {
    folder.close()
  }
}

/** Whatever the umask. */
function setMode({ fd, id, path }: Dir): void {
  try {
    fchmodSync(fd, FOLDER_MODE)
  } catch (error) {
    throw ioError(error, 'make', id, path)
  }
}
