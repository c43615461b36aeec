import { chmodSync, closeSync, constants, fchmodSync, fstatSync, openSync, type Stats } from 'node:fs'
import { DESCRIPTORS } from './dir.js'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants

/** Opens a file or folder without reading it, which needs no right to read it (Linux). */
const O_PATH = 0o10000000

/**
 * Sets the mode of a file or folder, even if its owner may not read it; a link is not followed.
 * @param check throws if the opened file is not the one that the caller means
 * @throws the system's error
 */
export function setMode(path: string, mode: number, check: (stat: Stats) => void = () => {}): void {
  const fd = openSync(path, O_NOFOLLOW | (DESCRIPTORS === undefined ? O_RDONLY | O_NONBLOCK : O_PATH))
  try {
    check(fstatSync(fd))
    if (DESCRIPTORS === undefined) fchmodSync(fd, mode)
    else chmodSync(`${DESCRIPTORS}/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}
