import { constants } from 'node:os'
import { errno, libc, systemError, uninterrupted } from './libc.js'

/** flock(2) operations; the values are the same on Linux and macOS. */
export const LOCK_SH = 1
export const LOCK_EX = 2
const LOCK_NB = 4

/**
 * One attempt, never waiting, at flock(2) on an open file: true when the lock is now held. Closing the file, or the
 * end of the process in whatever way, releases it. A wait in the kernel is never asked for: it would take a thread
 * of Node's pool, and with a few waiters no file could be read any more.
 */
export function tryFlock(fd: number, operation: typeof LOCK_SH | typeof LOCK_EX): boolean {
  if (uninterrupted(() => libc.flock(fd, operation | LOCK_NB)) === 0) return true
  if (errno() === constants.errno.EWOULDBLOCK) return false
  throw systemError('flock')
}
