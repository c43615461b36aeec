import { constants, fchownSync, fstatSync, readSync, type Stats } from 'node:fs'
import { ioError, isErrno } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { closeFile, type SandboxFolder } from './folder.js'
import { FILE_MODE, HISTORY_FILE } from './layout.js'

/** A history file grows to this many bytes; then it becomes the old one, and the old one goes. */
export const ROTATE_AT = 64 * 1024

const { O_RDONLY, O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants

/** Opens the history to append to, and makes it if there is none; with its size. */
export function openToAppend(folder: SandboxFolder): { fd: number; size: number } {
  const fd = folder.open(HISTORY_FILE, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, FILE_MODE)
  try {
    const stat = fstatSync(fd)
    // What has another name elsewhere may be another's file, linked here.
    if (!stat.isFile() || stat.nlink > 1)
      throw new Error(`${folder.show(HISTORY_FILE)} is not a file of this folder only`)
    if (stat.size === 0) giveToOwner(fd, folder)
    return { fd, size: stat.size }
  } catch (error) {
    closeFile(fd)
    throw error
  }
}

/** As with the state file: what root makes must not lock the sandbox's owner out. */
function giveToOwner(fd: number, folder: SandboxFolder): void {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = fstatSync(folder.fd)
  if (uid !== 0) fchownSync(fd, uid, gid)
}

/**
 * Opens a history file to read it, if it is there.
 * @throws StateStoreError `CORRUPT_STATE` when it is a link or no regular file, `IO_ERROR`
 */
export function openToRead(folder: SandboxFolder, name: string): number | undefined {
  const { id } = folder
  const path = folder.show(name)
  let fd: number
  try {
    fd = folder.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (!isErrno(error, 'ELOOP', 'ENXIO')) throw ioError(error, 'open', id, path)
    throw new StateStoreError('CORRUPT_STATE', `${path} is not a regular file`, { id, path, cause: error })
  }
  try {
    if (fstatSync(fd).isFile()) return fd
    throw new StateStoreError('CORRUPT_STATE', `${path} is not a regular file`, { id, path })
  } catch (error) {
    closeFile(fd)
    throw ioError(error, 'read', id, path)
  }
}

/** The last bytes of a file, `limit` at most. */
export function readTail(fd: number, { size }: Pick<Stats, 'size'>, limit: number): Buffer {
  const buffer = Buffer.allocUnsafe(Math.min(size, limit))
  const start = size - buffer.length
  let length = 0
  while (length < buffer.length) {
    const count = readSync(fd, buffer, length, buffer.length - length, start + length)
    if (count === 0) break
    length += count
  }
  return buffer.subarray(0, length)
}
