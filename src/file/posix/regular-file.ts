import { constants } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { closeFile, type Dir } from './dir.js'
import { readAt } from './file-io.js'
import { type FileStat, isRegularFile, statFd } from './file-stat.js'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/** An open file. */
export interface OpenFile {
  readonly fd: number
  readonly stat: FileStat
}

/**
 * Opens a file that should be a regular one: a link is not followed, and a FIFO or a device does not hang us. It is open for
 * as long as `use` runs.
 * @returns undefined when it does not exist
 * @throws StateStoreError `CORRUPT_STATE` when it is something else, `IO_ERROR`
 */
export function withRegularFile<T>(
  folder: Dir,
  name: string,
  use: (file: OpenFile) => T,
  access = O_RDONLY,
): T | undefined {
  const fd = openIfThere(folder, name, access)
  if (fd === undefined) return undefined
  try {
    const stat = statFd(fd)
    if (isRegularFile(stat)) return use({ fd, stat })
    throw notRegular(folder, name)
  } catch (error) {
    throw ioError(error, 'read', folder.id, folder.displayPath(name))
  } finally {
    closeFile(fd)
  }
}

function openIfThere(folder: Dir, name: string, access: number): number | undefined {
  try {
    return folder.open(name, access | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'ENXIO')) throw notRegular(folder, name, error)
    throw ioError(error, 'open', folder.id, folder.displayPath(name))
  }
}

export function notRegular(folder: Dir, name: string, cause?: unknown): StateStoreError {
  const path = folder.displayPath(name)
  return new StateStoreError('CORRUPT_STATE', `${path} is not a regular file`, { id: folder.id, path, cause })
}

/**
 * The content of such a file, of at most `limit` bytes.
 * @throws StateStoreError `CORRUPT_STATE` when it is something else or larger, `IO_ERROR`
 */
export function readRegularFile(
  folder: Dir,
  name: string,
  limit: number,
): { bytes: Uint8Array; stat: FileStat } | undefined {
  return withRegularFile(folder, name, ({ fd, stat }) => {
    const { id } = folder
    const bytes = stat.size > limit ? undefined : readFrom(fd, 0, stat.size, limit)
    if (bytes !== undefined && bytes.length <= limit) return { bytes, stat }
    const path = folder.displayPath(name)
    throw new StateStoreError('CORRUPT_STATE', `${path} is larger than ${limit} bytes`, { id, path })
  })
}

/** The last bytes of an open file, about `limit` at most. */
export function readTail({ fd, stat: { size } }: OpenFile, limit: number): Buffer {
  return readFrom(fd, Math.max(size - limit, 0), size, limit)
}

/**
 * Reads to the end, or until more than `limit` bytes were read. The size is only a hint: a file may grow meanwhile, and has
 * size 0 on some filesystems. Reading one byte more detects the end in the same call.
 */
function readFrom(fd: number, start: number, size: number, limit: number): Buffer {
  let buffer = Buffer.allocUnsafe(size - start + 1)
  for (let length = 0; ; ) {
    const count = readAt(fd, buffer.subarray(length), start + length)
    length += count
    if (count === 0 || start + length === size || length > limit) return buffer.subarray(0, length)
    if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(length)])
  }
}
