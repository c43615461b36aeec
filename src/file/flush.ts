import { fsyncSync } from 'node:fs'

let longest = 0

/**
 * Flushes a file or a folder to the disk, fsync(2), and keeps in mind how long that took.
 * @throws the system's error
 */
export function flush(fd: number): void {
  const start = performance.now()
  fsyncSync(fd)
  longest = Math.max(longest, performance.now() - start)
}

/** How long the longest flush in this thread took since the last time that this was asked, in ms; 0 when there was none. */
export function longestFlush(): number {
  const took = longest
  longest = 0
  return took
}
