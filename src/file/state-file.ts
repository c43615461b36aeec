import { constants, fstatSync, readSync, type Stats } from 'node:fs'
import { ioError, isErrno } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { decodeState, isForeignSchema, MAX_STATE_BYTES } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { closeFile, type SandboxFolder } from './folder.js'
import { STATE_FILE } from './layout.js'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/** One whole read of a state file. */
export interface StateFile {
  readonly state: SandboxState
  readonly uid: number
  readonly gid: number
  /** Differs after each replacement of the file and each write into it. */
  readonly version: string
}

/**
 * Reads and decodes the state file of an open folder.
 * @returns undefined when there is none, or one of another schema (Kata's Rust runtime), which is not ours.
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`, `IO_ERROR`
 */
export function readStateFile(folder: SandboxFolder): StateFile | undefined {
  const path = folder.show(STATE_FILE)
  const file = readRegularFile(folder, STATE_FILE, MAX_STATE_BYTES)
  if (file === undefined) return undefined
  const { bytes, stat } = file
  try {
    return { state: decodeState(bytes), uid: stat.uid, gid: stat.gid, version: versionOf(stat) }
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    if (isForeignSchema(bytes)) return undefined
    throw new StateStoreError(error.code, `${path}: ${error.message}`, { id: folder.id, path, cause: error })
  }
}

export function versionOf(stat: Stats): string {
  return `${stat.ino}-${stat.mtimeMs}`
}

/**
 * Reads a file that should be a regular one, whatever is really there: a link is not followed, a FIFO or a device
 * does not hang the read, and no more than `limit` bytes are taken.
 * @throws StateStoreError `CORRUPT_STATE` when it is something else or larger, `IO_ERROR`
 */
export function readRegularFile(
  folder: SandboxFolder,
  name: string,
  limit: number,
): { bytes: Uint8Array; stat: Stats } | undefined {
  const { id } = folder
  const path = folder.show(name)
  let fd: number
  try {
    fd = folder.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    if (isErrno(error, 'ELOOP', 'ENXIO')) throw notRegular(id, path, error)
    throw ioError(error, 'open', id, path)
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw notRegular(id, path)
    const bytes = readUpTo(fd, stat.size, limit)
    if (bytes === undefined) {
      throw new StateStoreError('CORRUPT_STATE', `${path} is larger than ${limit} bytes`, { id, path })
    }
    return { bytes, stat }
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
    length += readSync(fd, buffer, length, buffer.length - length, length)
    if (length > limit) return undefined
    // Of a regular file less comes than was asked for only at its end.
    if (length < buffer.length) return buffer.subarray(0, length)
    buffer = Buffer.concat([buffer, Buffer.allocUnsafe(length)])
  }
}

function notRegular(id: string, path: string, cause?: unknown): StateStoreError {
  return new StateStoreError('CORRUPT_STATE', `${path} is not a regular file`, { id, path, cause })
}
