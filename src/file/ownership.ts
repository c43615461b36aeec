import { AsyncResource } from 'node:async_hooks'
import type { Ownership } from '../backend.js'
import { ioError, reason } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { OWNER_FILE } from './layout.js'
import { type Locked, withBothLocks } from './lock/both-locks.js'
import { markReleased } from './lock/holder-record.js'
import { LOOKS_PER_SECOND, lookOften } from './lock/look-often.js'
import { statPath } from './posix/dir.js'
import { type FileStat, isSameFile } from './posix/file-stat.js'
import { isInMemory } from './posix/filesystem.js'
import { unlockAndClose } from './posix/flock.js'
import { flush } from './posix/flush.js'

/** A sandbox's `owner` file, with flock(2) held on it. */
export interface OwnerFile {
  readonly fd: number
  readonly stat: FileStat
}

/** The ownership of a sandbox: notices when the sandbox is deleted, and releases it. */
export class FileOwnership implements Ownership {
  private readonly lost = new AbortController()
  private readonly stopLooking: () => void
  private readonly path: string
  private releasing: Promise<void> | undefined
  private isHeld = true

  constructor(
    private readonly root: string,
    readonly id: string,
    private readonly file: OwnerFile,
    private readonly options: { readonly lockTimeout: number; readonly durable: boolean },
  ) {
    this.path = `${root}/${id}/${OWNER_FILE}`
    // One timer serves all owners, so each event is bound to its owner's async context.
    const lose = AsyncResource.bind(() => this.lost.abort(deleted(id)))
    this.stopLooking = lookOften(count => {
      if (count % LOOKS_PER_SECOND !== 0 || !this.isDeleted()) return
      this.stopLooking()
      lose()
    }, false)
  }

  get fd(): number {
    return this.isHeld ? this.file.fd : -1
  }

  get signal(): AbortSignal {
    return this.lost.signal
  }

  /** False also when it cannot be known now: the next look may know. */
  private isDeleted(): boolean {
    try {
      return !isSameFile(statPath(this.path), this.file.stat)
    } catch {
      return false
    }
  }

  release(): Promise<void> {
    this.releasing ??= this.releaseUnderLocks().catch(error => {
      if (this.isHeld) this.releasing = undefined // It can be tried again.
      throw error
    })
    return this.releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  private async releaseUnderLocks(): Promise<void> {
    const { root, id, options } = this
    try {
      if (!this.isDeleted()) await withBothLocks(root, id, options, locked => this.endLocked(locked))
    } catch (error) {
      if (!this.isDeleted()) throw error
    }
    this.letGo()
  }

  private async endLocked({ dir }: Locked): Promise<true> {
    if (isSameFile(dir.stat(OWNER_FILE), this.file.stat)) await this.recordRelease()
    this.letGo()
    return true
  }

  /** @throws StateStoreError `IO_ERROR` and it is still owned; `OUTCOME_UNKNOWN` and it is not, but a power cut may orphan it */
  private async recordRelease(): Promise<void> {
    const { id, path, file, options } = this
    try {
      markReleased(file.fd)
    } catch (error) {
      throw ioError(error, 'release', id, path)
    }
    try {
      if (options.durable && !isInMemory(file.fd)) await flush(file.fd)
    } catch (error) {
      this.letGo()
      const message = `${path} was released, but the disk did not confirm it: ${reason(error)}`
      throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
    }
  }

  private letGo(): void {
    if (!this.isHeld) return
    this.isHeld = false
    this.stopLooking()
    unlockAndClose(this.file.fd)
  }
}

function deleted(id: string): StateStoreError {
  return new StateStoreError('NOT_FOUND', `sandbox ${id} was deleted while it was owned`, { id })
}
