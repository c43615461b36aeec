import { constants, fchmodSync, fchownSync } from 'node:fs'
import { isErrno } from '../../errno.js'
import { FILE_MODE } from '../layout.js'
import { closeFile, type Dir } from './dir.js'
import { type FileStat, statFd } from './file-stat.js'

type Owner = Pick<FileStat, 'uid' | 'gid'>

const { O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants
const O_TMPFILE = 0o20000000 | O_DIRECTORY

/**
 * Creates an empty file, unless the name exists, that belongs to the folder's owner and has mode 0600 whatever the umask. It
 * gets both before its name, so that a process killed midway leaves no file that locks the owner out. (Where files
 * without a name are not supported, on macOS or NFS, it gets them right after.)
 * @throws the system's error
 */
export function createFile(dir: Dir, name: string): void {
  const unnamed = openUnnamed(dir)
  try {
    const fd = unnamed ?? dir.open(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE)
    try {
      fchmodSync(fd, FILE_MODE)
      chownLike(fd, statFd(dir.fd))
      if (unnamed !== undefined) dir.nameFile(fd, name)
    } finally {
      closeFile(fd)
    }
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
}

function openUnnamed(dir: Dir): number | undefined {
  if (!dir.canNameFiles) return undefined
  try {
    return dir.open('.', O_RDWR | O_TMPFILE, FILE_MODE)
  } catch (error) {
    if (isErrno(error, 'EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Gives an open file or folder the owner and group of another, so that what root creates in a user's folder does not lock
 * that user out. Only root can change an owner, and not everywhere (no CAP_CHOWN, a user namespace). Failing to set the group
 * is no error: it does not keep the owner out.
 * @throws the system's error
 */
export function chownLike(fd: number, like: Owner, now: Owner = statFd(fd)): void {
  if (now.uid === like.uid && now.gid === like.gid) return
  try {
    fchownSync(fd, like.uid, like.gid)
  } catch (error) {
    const isOwnerLockedOut = process.geteuid?.() === 0 && now.uid !== like.uid
    if (isOwnerLockedOut || !isErrno(error, 'EPERM', 'EINVAL')) throw error
  }
}
