import { chmodSync, closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { FOLDER_MODE } from './layout.js'

/**
 * Makes a root folder and what is missing above it, for its owner to use whatever the umask. (Not by the `recursive` of
 * `mkdirSync`: where a filesystem says ENOENT of a name below a folder that is there, as /proc does, that tries again for
 * ever.)
 * @returns whether there was none
 * @throws the system's error
 */
export function makeRootDir(path: string): boolean {
  if (isDir(path)) return false
  if (dirname(path) !== path) makeRootDir(dirname(path))
  try {
    mkdirSync(path, FOLDER_MODE)
    if ((statSync(path).mode & FOLDER_MODE) !== FOLDER_MODE) chmodSync(path, FOLDER_MODE)
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !isDir(path)) throw error // Else somebody was faster.
  }
  return true
}

/**
 * To be asked when a root could not be used: whether it is something else than a folder, or below something else.
 * @throws StateStoreError `IO_ERROR` if so
 */
export function assertDir(path: string, id?: string, cause?: unknown): void {
  const obstacle = obstacleTo(path)
  if (obstacle === undefined) return
  throw new StateStoreError('IO_ERROR', `${obstacle} is not a folder`, { id, path: obstacle, cause })
}

function obstacleTo(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : path
  } catch (error) {
    if (isErrno(error, 'ELOOP')) return path
    return isErrno(error, 'ENOTDIR') ? obstacleTo(dirname(path)) : undefined
  }
}

function isDir(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/**
 * Yields each folder above a root whose names must be flushed for the root to survive a power cut: up to the one where
 * its filesystem is mounted.
 * @throws the system's error
 */
export function* ancestorsToFlush(root: string): Generator<number, void, void> {
  const { dev } = statSync(root)
  for (let child = root; dirname(child) !== child; child = dirname(child)) {
    const fd = openToFlush(dirname(child))
    if (fd === undefined) continue
    try {
      if (fstatSync(fd).dev !== dev) return
      yield fd
    } finally {
      closeSync(fd)
    }
  }
}

/** @returns undefined for a folder that we may not read: another user made it for us */
function openToFlush(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM')) return undefined
    throw error
  }
}
