import { constants, fchmodSync, fchownSync } from 'node:fs'
import { isErrno } from '../../errno.js'
import { FILE_MODE } from '../layout.js'
import { closeFile, type Dir } from './dir.js'
import { type FileStat, statFd } from './file-stat.js'

type Owner = Pick<FileStat, 'uid' | 'gid'>

const { O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = constants
const O_TMPFILE = 0o20000000 | O_DIRECTORY

/**
 * Makes an empty file, unless there is one of that name, that belongs to the folder's owner and has mode 0600 whatever
 * the umask. It has both before it has its name, so that a process killed midway leaves nothing that locks the owner
 * out. (Where files without a name do not exist, on macOS or NFS, it gets them just after.)
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
 * Gives an open file or folder the owner and group of another, so that what root makes in a user's folder does not lock
 * that user out. Only root can give anything away, and not everywhere (no CAP_CHOWN, a user namespace); a group that
 * cannot be given is no obstacle to the owner.
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
