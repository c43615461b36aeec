import { constants } from 'node:os'
import koffi from 'koffi'

/** flock(2) operations; the values are the same on Linux and macOS. */
export const LOCK_SH = 1
export const LOCK_EX = 2
const LOCK_NB = 4

// The C library is already part of the process, hence no file name.
const flock = koffi.load(null).func('int flock(int fd, int operation)') as (
  fd: number,
  operation: number,
) => number

const { EWOULDBLOCK, EINTR } = constants.errno

/**
 * One attempt, never waiting, at flock(2) on an open file: true when the lock is now held. Closing the file, or the
 * end of the process in whatever way, releases it. A wait in the kernel is never asked for: it would take a thread
 * of Node's pool, and with a few waiters no file could be read any more.
 */
export function tryFlock(fd: number, operation: typeof LOCK_SH | typeof LOCK_EX): boolean {
  for (;;) {
    if (flock(fd, operation | LOCK_NB) === 0) return true
    const errno = koffi.errno()
    if (errno === EWOULDBLOCK) return false
    if (errno !== EINTR) throw errnoError(errno)
  }
}

function errnoError(errno: number): Error {
  const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`
  return Object.assign(new Error(`${code}: flock failed`), { code, errno: -errno, syscall: 'flock' })
}
