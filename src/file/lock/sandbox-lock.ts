import { closeSync } from 'node:fs'
import type { LockHolder } from '../../backend.js'
import { ioError } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { LOCK_FILE, STATE_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { LOCK_EX, tryFlock } from '../posix/flock.js'
import { pause } from './backoff.js'
import { noteWait, rest } from './fairness.js'
import { type LockFile, openLockFile, theLock } from './lock-file.js'

/** A sandbox whose `lock` file this process holds with flock(2), exclusively. */
export interface LockedSandbox {
  readonly folder: Dir
  readonly lock: LockFile
}

/** Until when to wait, and for what. */
export interface Patience {
  /** In ms, on the clock of `performance.now()`. */
  readonly deadline: number
  /** What was allowed from the start, in ms, for the message. */
  readonly timeout: number
  /** Is told, each time that a lock is not to be had, which one. */
  readonly blocked?: (lock: LockHolder['lock']) => void
}

/**
 * Takes flock(2) on a sandbox's `lock` file, and waits for it by asking again.
 * @param makeLock whether to make a lock file that is missing, also where there is no state file
 * @returns undefined when there is no such folder, or without `makeLock` no state file or no lock file in it
 * @throws StateStoreError `LOCK_TIMEOUT`, `CORRUPT_STATE`, `IO_ERROR`
 */
export async function lockSandbox(
  root: string,
  id: string,
  patience: Patience,
  makeLock: boolean,
): Promise<LockedSandbox | undefined> {
  await rest(root, id, patience)
  for (let attempt = 0, replaced = 0; ; ) {
    const opened = openLock(root, id, makeLock)
    if (opened === undefined) return undefined
    const { folder, fd } = opened
    let lock: LockFile | undefined
    try {
      while (!tryFlock(fd, LOCK_EX)) await waitOrGiveUp(root, id, 'flock', patience, attempt++)
      lock = theLock(folder, fd)
    } catch (error) {
      throw ioError(error, 'lock', id, folder.displayPath(LOCK_FILE))
    } finally {
      if (lock === undefined) close(folder, fd)
    }
    if (lock !== undefined) {
      if (attempt > 0) noteWait(folder.path)
      return { folder, lock }
    }
    // Once in a while it is deleted and made again meanwhile. If that does not end, somebody is playing with us.
    if (++replaced > MOST_REPLACED) await waitOrGiveUp(root, id, 'flock', patience, attempt++)
  }
}

/** How often the lock file may be another one by the time that it is locked before that counts as waiting. */
const MOST_REPLACED = 3

/** Waits a moment, or ends the wait with an error that names who is in the way. */
export async function waitOrGiveUp(
  root: string,
  id: string,
  lock: LockHolder['lock'],
  patience: Patience,
  attempt: number,
): Promise<void> {
  patience.blocked?.(lock)
  const left = patience.deadline - performance.now()
  if (left > 0) return pause(attempt, left)
  const { describeHolder } = await import('./holder.js')
  const folder = Dir.open(root, id)
  if (folder === undefined) return
  const { path } = folder
  try {
    const message = `${path} is locked by ${describeHolder(folder, lock)}; gave up after ${patience.timeout / 1000} s`
    throw new StateStoreError('LOCK_TIMEOUT', message, { id, path: folder.displayPath(LOCK_FILE) })
  } finally {
    folder.close()
  }
}

/** Gives the lock up and closes the folder. */
export function unlock({ folder, lock }: LockedSandbox): void {
  close(folder, lock.fd)
}

function close(folder: Dir, lockFd: number): void {
  closeSync(lockFd)
  folder.close()
}

function openLock(root: string, id: string, make: boolean): { folder: Dir; fd: number } | undefined {
  const folder = Dir.open(root, id)
  if (folder === undefined) return undefined
  try {
    const fd = make || folder.exists(STATE_FILE) ? openLockFile(folder, make) : undefined
    if (fd !== undefined) return { folder, fd }
  } catch (error) {
    folder.close()
    throw error
  }
  folder.close()
  return undefined
}
