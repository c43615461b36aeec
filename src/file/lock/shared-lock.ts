import { closeSync } from 'node:fs'
import { StateStoreError } from '../../errors.js'
import type { Dir } from '../posix/dir.js'
import { LOCK_SH, tryFlock } from '../posix/flock.js'
import { isUnreadable } from '../state-file.js'
import { pause } from './backoff.js'
import { openLockToRead } from './lock-file.js'

/** How long a reader waits for a writer that writes in place, as Kata does within its lock, in ms. */
const PATIENCE = 200

/**
 * Reads under a shared flock(2), as Kata's readers do, if one is to be had soon; without it otherwise, and then an error
 * says who holds it, since that one may be writing. Makes no file.
 */
export async function withSharedLock<T>(folder: Dir, read: () => T): Promise<T> {
  let fd: number
  try {
    fd = openLockToRead(folder)
  } catch {
    return read()
  }
  try {
    const deadline = performance.now() + PATIENCE
    for (let attempt = 0; !trySharedFlock(fd); attempt++) {
      const left = deadline - performance.now()
      if (left <= 0) return await readBesideHolder(folder, read)
      await pause(attempt, left)
    }
    return read()
  } finally {
    closeSync(fd)
  }
}

/** A reader does without a lock that is not to be had, for whatever reason. */
function trySharedFlock(fd: number): boolean {
  try {
    return tryFlock(fd, LOCK_SH)
  } catch {
    return true
  }
}

async function readBesideHolder<T>(folder: Dir, read: () => T): Promise<T> {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof StateStoreError) || !isUnreadable(error)) throw error
    const { describeHolder } = await import('./holder.js')
    const message = `${error.message} (it may be half written: it is locked by ${describeHolder(folder, 'flock')})`
    const { code, id, path, cause } = error
    throw new StateStoreError(code, message, { id, path, cause })
  }
}
