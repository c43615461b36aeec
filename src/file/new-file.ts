import { fchmodSync, fchownSync, fstatSync, type Stats } from 'node:fs'
import { FILE_MODE } from './layout.js'
import type { Dir } from './posix/dir.js'

/**
 * Sees to it that the sandbox's owner can use a file that was just made in its folder: a umask may have taken the
 * owner's rights, and what root makes is root's.
 * @param stat the file's
 */
export function letOwnerIn(fd: number, stat: Stats, folder: Dir): void {
  if ((stat.mode & FILE_MODE) !== FILE_MODE) fchmodSync(fd, FILE_MODE)
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = fstatSync(folder.fd)
  if (uid !== 0) fchownSync(fd, uid, gid)
}
