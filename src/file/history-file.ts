import { constants, fstatSync } from 'node:fs'
import { FILE_MODE, HISTORY_FILE } from './layout.js'
import { letOwnerIn } from './new-file.js'
import { closeFile, type Dir } from './posix/dir.js'

/** A history file grows to this many bytes; then it becomes the old one, and the old one goes. */
export const ROTATE_AT = 64 * 1024

const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants

/** Opens the history to append to, and makes it if there is none; with its size. */
export function openToAppend(folder: Dir): { fd: number; size: number } {
  const fd = folder.open(HISTORY_FILE, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, FILE_MODE)
  try {
    const stat = fstatSync(fd)
    // What has another name elsewhere may be another's file, linked here.
    if (!stat.isFile() || stat.nlink > 1)
      throw new Error(`${folder.displayPath(HISTORY_FILE)} is not a file of this folder only`)
    if (stat.size === 0) letOwnerIn(fd, stat, folder)
    return { fd, size: stat.size }
  } catch (error) {
    closeFile(fd)
    throw error
  }
}
