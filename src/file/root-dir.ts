import { chmodSync, closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isErrno } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { FOLDER_MODE } from './layout.js'

/**
 * Makes a root folder and the missing ones above it, usable by its owner whatever the umask. (Not with the option
 * `recursive` of `mkdirSync`: that retries for ever where a filesystem reports ENOENT below a folder that exists, as /proc
 * does.)
 * @returns whether it was missing
 * @throws the system's error
 */
export function makeRootDir(path: string): boolean {
  if (isDir(path)) return false
  if (dirname(path) !== path) makeRootDir(dirname(path))
  try {
    mkdirSync(path, FOLDER_MODE)
    if ((statSync(path).mode & FOLDER_MODE) !== FOLDER_MODE) chmodSync(path, FOLDER_MODE)
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !isDir(path)) throw error // Otherwise another process made it.
  }
  return true
}

/**
 * For a root that could not be used: checks that it and the paths above it are folders, as far as they exist.
 * @throws StateStoreError `IO_ERROR` for one that is not a folder
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
 * Yields each folder above a root that must be flushed for the root to survive a power cut: up to the one where its
 * filesystem is mounted.
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

/** @returns undefined for a folder that we may not read: another user made it, for us to use */
function openToFlush(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if (isErrno(error, 'EACCES', 'EPERM')) return undefined
    throw error
  }
}
