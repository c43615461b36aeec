import { AsyncResource } from 'node:async_hooks'
import { constants, fsync } from 'node:fs'
import { promisify } from 'node:util'
import { onAbort } from '../abort.js'
import type { Ownership, OwnOptions } from '../backend.js'
import { notFound } from '../change.js'
import { ioError, isErrno, reason } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { OWNER_FILE } from './layout.js'
import { type Locked, withBothLocks } from './lock/both-locks.js'
import { markReleased, RECORD_SIZE, writeHolderRecord } from './lock/holder-record.js'
import { lookOften } from './lock/look-often.js'
import { ownedByOther } from './lock/owner.js'
import { openLockToRead } from './lock/sandbox-lock.js'
import { createFile } from './posix/create-file.js'
import { Dir, statPath } from './posix/dir.js'
import { overwriteStart, readAt } from './posix/file-io.js'
import { type FileStat, isRegularFile, isSameFile, statFd } from './posix/file-stat.js'
import { isInMemory } from './posix/filesystem.js'
import { LOCK_EX, LOCK_SH, tryFlock, unlock, unlockAndClose } from './posix/flock.js'
import { notRegular } from './posix/regular-file.js'
import { readSandbox } from './read.js'
import { readStateFile } from './state-file.js'

const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants

const flush = promisify(fsync)

export interface FileOwnOptions extends OwnOptions {
  readonly lockTimeout: number
  readonly durable: boolean
}

/** What an owner holds. */
interface OwnerFile {
  readonly fd: number
  readonly stat: FileStat
}

/**
 * Takes the ownership of a sandbox: flock(2) on its `owner` file, held from now on; with `wait`, when its present owner
 * is gone.
 * @throws StateStoreError `OWNED` (without `wait`) `NOT_FOUND` `CORRUPT_STATE` `INVALID_STATE` `LOCK_TIMEOUT` `UNSUPPORTED` `IO_ERROR`
 */
export async function own(root: string, id: string, options: FileOwnOptions): Promise<Ownership> {
  const { lockTimeout, durable } = options
  for (;;) {
    // Before anything is made: it may be another program's sandbox.
    if ((await readSandbox(root, id)) === undefined) throw notFound(id)
    try {
      const file = await withBothLocks(root, id, options, locked => take(locked, durable))
      return new FileOwnership(root, id, file, { lockTimeout, durable })
    } catch (error) {
      const isOwned = error instanceof StateStoreError && error.code === 'OWNED'
      if (!isOwned || options.wait !== true) throw error
    }
    await ownerIsGone(root, id, options.signal)
  }
}

/** @returns undefined while readers look who the owner is, and when the locks were lost meanwhile */
async function take({ dir, areOurs }: Locked, durable: boolean): Promise<OwnerFile | undefined> {
  const { id } = dir
  const path = dir.displayPath(OWNER_FILE)
  if (readStateFile(dir) === undefined) throw notFound(id)
  let fd: number | undefined
  let isTaken = false
  try {
    createFile(dir, OWNER_FILE)
    fd = dir.openTracked(OWNER_FILE, O_RDWR | O_NOFOLLOW | O_NONBLOCK)
    const stat = statFd(fd)
    if (!isRegularFile(stat)) throw notRegular(dir, OWNER_FILE)
    if (stat.nlink > 1) throw hasOtherName(id, path)
    // Readers hold a shared lock for a moment, only an owner holds an exclusive one.
    if (!tryFlock(fd, LOCK_SH)) throw ownedByOther(id, fd)
    if (!tryFlock(fd, LOCK_EX) || !isSameFile(dir.stat(OWNER_FILE), stat)) return undefined
    if (!excludesOthers(dir)) throw excludesNobody(id, path)
    if (!areOurs()) return undefined
    await note(dir, fd, durable)
    isTaken = true
    return { fd, stat }
  } catch (error) {
    if (isErrno(error, 'ELOOP', 'EISDIR', 'ENXIO')) throw notRegular(dir, OWNER_FILE, error)
    throw ioError(error, 'lock', id, path)
  } finally {
    if (!isTaken && fd !== undefined) unlockAndClose(fd)
  }
}

/**
 * Notes who the owner is now, and has it on the disk: after a power cut it is an orphan. What fails leaves the orphan that
 * was there before, or none.
 * @throws the system's error
 */
async function note(dir: Dir, fd: number, durable: boolean): Promise<void> {
  const before = Buffer.alloc(RECORD_SIZE)
  const hadRecord = readAt(fd, before, 0) === RECORD_SIZE
  try {
    writeHolderRecord(fd)
    if (durable && !isInMemory(fd)) await Promise.all([flush(fd), flush(dir.fd)])
  } catch (error) {
    try {
      if (hadRecord) overwriteStart(fd, before)
      else markReleased(fd)
    } catch {
      // The first error is the one to tell.
    }
    throw error
  }
}

/** @throws the system's error */
function excludesOthers(dir: Dir): boolean {
  const fd = openLockToRead(dir, OWNER_FILE)
  try {
    return !tryFlock(fd, LOCK_SH)
  } finally {
    unlockAndClose(fd)
  }
}

function hasOtherName(id: string, path: string): StateStoreError {
  const message = `${path} has another name elsewhere, so it may be another program's file`
  return new StateStoreError('CORRUPT_STATE', message, { id, path })
}

function excludesNobody(id: string, path: string): StateStoreError {
  const message = `flock(2) excludes nobody on ${path}: an owner needs a local filesystem`
  return new StateStoreError('UNSUPPORTED', message, { id, path })
}

/** Every 12th look, about once a second, also checks that the file is still there: its sandbox may have been deleted. */
const LOOK_FOR_FILE = 12

/** Waits until nobody holds the `owner` file, or there is another one or none. */
async function ownerIsGone(root: string, id: string, signal: AbortSignal | undefined): Promise<void> {
  const path = ownerPath(root, id)
  const fd = openOwner(root, id)
  if (fd === undefined) return
  let stop: (() => void) | undefined
  let takeBack: (() => void) | undefined
  try {
    const stat = statFd(fd)
    await new Promise<void>((resolve, reject) => {
      let count = 0
      const look = () => {
        try {
          const isFree = tryFlock(fd, LOCK_SH)
          if (isFree) unlock(fd)
          if (isFree || (++count % LOOK_FOR_FILE === 0 && !isSameFile(statPath(path), stat))) resolve()
        } catch (error) {
          reject(error)
        }
      }
      stop = lookOften(look, true)
      takeBack = signal && onAbort(signal, () => reject(signal.reason))
      look()
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw ioError(error, 'lock', id, path)
  } finally {
    stop?.()
    takeBack?.()
    unlockAndClose(fd)
  }
}

function openOwner(root: string, id: string): number | undefined {
  const dir = Dir.open(root, id)
  try {
    return dir && openLockToRead(dir, OWNER_FILE)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'open', id, ownerPath(root, id))
  } finally {
    dir?.close()
  }
}

function ownerPath(root: string, id: string): string {
  return `${root}/${id}/${OWNER_FILE}`
}

class FileOwnership implements Ownership {
  private readonly lost = new AbortController()
  private readonly endLooks: () => void
  private releasing: Promise<void> | undefined
  private isHeld = true

  constructor(
    private readonly root: string,
    readonly id: string,
    private readonly file: OwnerFile,
    private readonly options: { readonly lockTimeout: number; readonly durable: boolean },
  ) {
    // Runs in the owner's async context: one timer serves all callers.
    const lose = AsyncResource.bind(() => this.lost.abort(deleted(id)))
    let count = 0
    this.endLooks = lookOften(() => {
      if (++count % LOOK_FOR_FILE !== 0 || !this.isLost()) return
      this.endLooks()
      lose()
    }, false)
  }

  get fd(): number {
    return this.isHeld ? this.file.fd : -1
  }

  get signal(): AbortSignal {
    return this.lost.signal
  }

  /** What cannot be looked at now is looked at the next time. */
  private isLost(): boolean {
    try {
      return !isSameFile(statPath(ownerPath(this.root, this.id)), this.file.stat)
    } catch {
      return false
    }
  }

  release(): Promise<void> {
    this.releasing ??= this.end().catch(error => {
      if (this.isHeld) this.releasing = undefined
      throw error
    })
    return this.releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  private async end(): Promise<void> {
    const { root, id, options } = this
    try {
      if (!this.isLost()) await withBothLocks(root, id, options, locked => this.endLocked(locked))
    } catch (error) {
      if (!this.isLost()) throw error
    }
    this.letGo()
  }

  private async endLocked({ dir }: Locked): Promise<true> {
    if (isSameFile(dir.stat(OWNER_FILE), this.file.stat)) await this.noteRelease()
    this.letGo()
    return true
  }

  /** @throws StateStoreError `OUTCOME_UNKNOWN`, and the ownership is over; `IO_ERROR`, and it is not */
  private async noteRelease(): Promise<void> {
    const { id, file, options } = this
    const path = ownerPath(this.root, id)
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
    this.endLooks()
    unlockAndClose(this.file.fd)
  }
}

function deleted(id: string): StateStoreError {
  return new StateStoreError('NOT_FOUND', `sandbox ${id} was deleted while it was owned`, { id })
}
