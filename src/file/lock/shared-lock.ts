import { StateStoreError } from '../../errors.js'
import type { Dir } from '../posix/dir.js'
import { LOCK_SH, tryFlock, unlockAndClose } from '../posix/flock.js'
import { isUnreadable } from '../state-file.js'
import { describe, findHolder } from './holder.js'
import { openLockToRead } from './sandbox-lock.js'
import { pause } from './wait.js'

/** How long a reader waits for a program that writes in place, as Kata does under its lock, in ms. */
const LONGEST = 200

/**
 * Reads what could not be understood again and again, until it can be, or until it was read under a shared flock(2), as
 * Kata's readers take; then that is the result. If the lock is not free in time, the error names its holder, who may
 * be writing. Makes no file.
 */
export async function readAgain<T>(dir: Dir, read: () => T): Promise<T> {
  const deadline = performance.now() + LONGEST
  for (let attempt = 0; ; attempt++) {
    let fd: number | undefined
    let isBusy = false
    try {
      fd = openLockToRead(dir)
      isBusy = !tryFlock(fd, LOCK_SH)
    } catch {
      // A reader does without a lock that cannot be taken for another reason than a holder.
    }
    try {
      return read()
    } catch (error) {
      if (!isBusy || !isUnreadable(error)) throw error
      const left = deadline - performance.now()
      if (left <= 0) throw besideHolder(error, dir)
      await pause(attempt, left)
    } finally {
      if (fd !== undefined) unlockAndClose(fd)
    }
  }
}

function besideHolder(error: StateStoreError, dir: Dir): StateStoreError {
  const holder = describe(findHolder(dir, 'flock'))
  const message = `${error.message} (it may be half written: it is locked by ${holder})`
  const { code, id, path, cause } = error
  return new StateStoreError(code, message, { id, path, cause })
}
