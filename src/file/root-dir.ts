import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
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
export function makeRootFolder(path: string): boolean {
  if (isFolder(path)) return false
  if (dirname(path) !== path) makeRootFolder(dirname(path))
  try {
    mkdirSync(path, FOLDER_MODE)
    if ((statSync(path).mode & FOLDER_MODE) !== FOLDER_MODE) chmodSync(path, FOLDER_MODE)
  } catch (error) {
    if (!isErrno(error, 'EEXIST') || !isFolder(path)) throw error // Else somebody was faster.
  }
  return true
}

/**
 * To be asked when a root could not be used: whether it is something else than a folder, or below something else.
 * @throws StateStoreError `IO_ERROR` if so
 */
export function assertFolder(path: string, id?: string, cause?: unknown): void {
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

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** Flushes the names on the way to a folder, from its own up to the one where its filesystem is mounted. */
export async function flushWayTo(path: string): Promise<void> {
  const { dev } = await stat(path)
  for (let child = path; dirname(child) !== child; child = dirname(child)) {
    let parent: FileHandle
    try {
      parent = await open(dirname(child), 'r')
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EPERM')) continue // What we may not read, another user made for us.
      throw error
    }
    try {
      if ((await parent.stat()).dev !== dev) return
      await parent.sync()
    } finally {
      await parent.close()
    }
  }
}
