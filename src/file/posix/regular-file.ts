import { constants } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { closeFile, type Dir } from './dir.js'
import { readAt } from './file-io.js'
import { type FileStat, isRegularFile, statFd } from './file-stat.js'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/** A file that is open to be read; to be closed with `closeFile`. */
export interface OpenFile {
  readonly fd: number
  readonly stat: FileStat
}

/**
 * Opens a file that should be a regular one, whatever is really there: a link is not followed, and a FIFO or a device
 * does not hang the reader.
 * @returns undefined when there is none
 * @throws StateStoreError `CORRUPT_STATE` when it is something else, `IO_ERROR`
 */
export function openRegularFile(folder: Dir, name: string): OpenFile | undefined {
  let fd: number
  try {
    fd = folder.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'ENXIO')) throw notRegular(folder, name, error)
    throw ioError(error, 'open', folder.id, folder.displayPath(name))
  }
  try {
    const stat = statFd(fd)
    if (isRegularFile(stat)) return { fd, stat }
    throw notRegular(folder, name)
  } catch (error) {
    closeFile(fd)
    throw ioError(error, 'read', folder.id, folder.displayPath(name))
  }
}

export function notRegular(folder: Dir, name: string, cause?: unknown): StateStoreError {
  const path = folder.displayPath(name)
  return new StateStoreError('CORRUPT_STATE', `${path} is not a regular file`, { id: folder.id, path, cause })
}

/**
 * The whole of such a file, of which no more than `limit` bytes are taken.
 * @throws StateStoreError `CORRUPT_STATE` when it is something else or larger, `IO_ERROR`
 */
export function readRegularFile(
  folder: Dir,
  name: string,
  limit: number,
): { bytes: Uint8Array; stat: FileStat } | undefined {
  const file = openRegularFile(folder, name)
  if (file === undefined) return undefined
  const { fd, stat } = file
  const { id } = folder
  const path = folder.displayPath(name)
  try {
    const bytes = readUpTo(fd, stat.size, limit)
    if (bytes !== undefined) return { bytes, stat }
    throw new StateStoreError('CORRUPT_STATE', `${path} is larger than ${limit} bytes`, { id, path })
  } catch (error) {
    throw ioError(error, 'read', id, path)
  } finally {
    closeFile(fd)
  }
}

/** The size is a hint only: a file may grow while it is read, and says 0 on some filesystems. */
function readUpTo(fd: number, size: number, limit: number): Uint8Array | undefined {
  if (size > limit) return undefined
  let buffer = Buffer.allocUnsafe(size + 1)
  let length = 0
  for (;;) {
    length += readAt(fd, buffer.subarray(length), length)
    if (length > limit) return undefined
    if (length < buffer.length) return buffer.subarray(0, length)
    buffer = Buffer.concat([buffer, Buffer.allocUnsafe(length)])
  }
}

/** The last bytes of an open file, `limit` at most. */
export function readTail(fd: number, size: number, limit: number): Buffer {
  const buffer = Buffer.allocUnsafe(Math.min(size, limit))
  return buffer.subarray(0, readAt(fd, buffer, size - buffer.length))
}
