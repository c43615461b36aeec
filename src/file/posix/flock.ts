import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { errno, libc, systemError, uninterrupted } from './libc.js'

/** flock(2) operations; the values are the same on Linux and macOS. */
export const LOCK_SH = 1
export const LOCK_EX = 2
const LOCK_NB = 4
const LOCK_UN = 8

/**
 * Tries flock(2) on an open file once; true when the lock is now held. Never waits in the kernel: that would take a thread of
 * Node's pool for each waiter, and could not be interrupted at a deadline.
 * @throws the system's error
 */
export function tryFlock(fd: number, operation: typeof LOCK_SH | typeof LOCK_EX): boolean {
  if (uninterrupted(() => libc.flock(fd, operation | LOCK_NB)) === 0) return true
  if (errno() === constants.errno.EWOULDBLOCK) return false
  throw systemError('flock')
}

/** Releases the lock, also for every process that inherited the descriptor. */
export function unlock(fd: number): void {
  libc.flock(fd, LOCK_UN)
}

/**
 * Releases the lock and closes the file. Closing alone is not enough: a child process that another thread is just starting
 * has a copy of the descriptor until it calls exec, and with it the lock.
 */
export function unlockAndClose(fd: number): void {
  unlock(fd)
  closeSync(fd)
}
