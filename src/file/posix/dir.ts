import { closeSync, constants, openSync, readlinkSync } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { ioError, isErrno } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { assertDir } from '../root-dir.js'
import { type FileStat, statAt } from './file-stat.js'
import { errno, libc, systemError, uninterrupted } from './libc.js'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants
const [O_CLOEXEC, AT_REMOVEDIR] = process.platform === 'darwin' ? [0x1000000, 0x80] : [0o2000000, 0x200]

const { ENOENT, EISDIR, EPERM, EINVAL } = osConstants.errno
const NO_FILE: ReadonlySet<number> = new Set([ENOENT, EISDIR, EPERM])
const NOWHERE = Buffer.alloc(1)
const [AT_FDCWD, AT_SYMLINK_FOLLOW] = [-100, 0x400]

/** The folder of links to this process's open files, which lead to each file itself, whatever its name is now. */
export const DESCRIPTORS = descriptors()

/** By the pid, which saves resolving the link `self`, unless `/proc` is that of another pid namespace. */
function descriptors(): string | undefined {
  try {
    return readlinkSync('/proc/self') === String(process.pid) ? `/proc/${process.pid}/fd` : '/proc/self/fd'
  } catch {
    return undefined
  }
}

/**
 * A sandbox's folder, held open. Everything in it is reached through the descriptor, so that a folder that is renamed or
 * replaced by a symbolic link after the check cannot lead elsewhere: with openat(2) and the like, and for `node:fs` with a
 * path below `/proc/PID/fd/N`. (On macOS, which has no such paths, `node:fs` gets the plain path.)
 */
export class Dir {
  constructor(
    readonly id: string,
    /** For people and messages. */
    readonly path: string,
    readonly fd: number,
  ) {}

  /**
   * Opens `<root>/<id>`; undefined when it does not exist.
   * @throws StateStoreError `CORRUPT_STATE` when it is a symbolic link or not a folder, `IO_ERROR`
   */
  static open(root: string, id: string): Dir | undefined {
    const path = `${root}/${id}`
    try {
      return new Dir(id, path, openTracked(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, path))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      if (isErrno(error, 'ENOTDIR', 'ELOOP')) {
        assertDir(root, id, error)
        const message = `${path} is not a folder (a symbolic link is not followed)`
        throw new StateStoreError('CORRUPT_STATE', message, { id, path, cause: error })
      }
      throw ioError(error, 'open', id, path)
    }
  }

  /** The path by which system calls reach a file in this folder. */
  procPath(name: string): string {
    return DESCRIPTORS ? `${DESCRIPTORS}/${this.fd}/${name}` : join(this.path, name)
  }

  /**
   * Opens a file in this folder, openat(2). Close it with {@link closeFile}: in a worker thread, Node warns when it closes a
   * descriptor that it did not open.
   * @throws the system's error
   */
  open(name: string, flags: number, mode = 0): number {
    const fd = uninterrupted(() => libc.openat(this.fd, name, flags | O_CLOEXEC, 'int', mode))
    return fd === -1 ? this.fail('open', name) : fd
  }

  /**
   * As {@link open}, for a file that must not stay open when the thread is terminated: see {@link openTracked}.
   * @throws the system's error
   */
  openTracked(name: string, flags: number): number {
    return openTracked(this.fd, name, flags, this.procPath(name))
  }

  /**
   * Whether the folder has an entry of that name, a dangling link included. By readlink(2), which reports EINVAL for
   * anything but a link.
   * @throws StateStoreError `IO_ERROR`
   */
  exists(name: string): boolean {
    if (libc.readlinkat(this.fd, name, NOWHERE, NOWHERE.length) !== -1 || errno() === EINVAL) return true
    if (errno() === ENOENT) return false
    throw ioError(systemError('readlink', name), 'look for', this.id, this.displayPath(name))
  }

  /** Stats an entry of this folder, a link not followed; undefined when it does not exist. @throws the system's error */
  stat(name: string): FileStat | undefined {
    return statAt(this.fd, name, this.procPath(name))
  }

  /** Stats what is at this folder's path now; undefined when nothing is. @throws the system's error */
  statItself(): FileStat | undefined {
    return statPath(this.path)
  }

  /** mkdir(2) */
  mkdir(name: string, mode: number): void {
    if (libc.mkdirat(this.fd, name, mode) === -1) this.fail('mkdir', name)
  }

  /** rmdir(2) */
  rmdir(name: string): void {
    if (libc.unlinkat(this.fd, name, AT_REMOVEDIR) === -1) this.fail('rmdir', name)
  }

  /** unlink(2) */
  unlink(name: string): void {
    if (libc.unlinkat(this.fd, name, 0) === -1) this.fail('unlink', name)
  }

  /**
   * unlink(2) of a file or a link, if it exists; a folder of that name stays. (Not `rmSync`: that checks first, and once it
   * has seen a folder it removes everything below, links swapped in on the way included.)
   */
  unlinkIfFile(name: string): void {
    if (libc.unlinkat(this.fd, name, 0) === -1 && !NO_FILE.has(errno())) this.fail('unlink', name)
  }

  /** rename(2) of a file in this folder to a name in this or another one. */
  rename(from: string, to: string, folder: Dir = this): void {
    if (libc.renameat(this.fd, from, folder.fd, to) === -1) this.fail('rename', from)
  }

  /** Whether {@link nameFile} works here. */
  get canNameFiles(): boolean {
    return DESCRIPTORS !== undefined
  }

  /** Gives an open file without a name (O_TMPFILE) a name in this folder. */
  nameFile(fd: number, name: string): void {
    const result = libc.linkat(AT_FDCWD, `${DESCRIPTORS}/${fd}`, this.fd, name, AT_SYMLINK_FOLLOW)
    if (result === -1) this.fail('link', name)
  }

  private fail(syscall: string, name: string): never {
    throw systemError(syscall, this.displayPath(name))
  }

  /** A file's path for messages. */
  displayPath(name: string): string {
    return join(this.path, name)
  }

  close(): void {
    closeSync(this.fd)
  }
}

/**
 * Opens a file or a folder, openat(2). In a worker thread by `node:fs`, since Node closes the files that it opened when the
 * thread is terminated, and so releases their locks.
 * @param path the same file, for Node
 */
function openTracked(dirFd: number, name: string, flags: number, path: string): number {
  if (!isMainThread) return openSync(path, flags)
  const fd = uninterrupted(() => libc.openat(dirFd, name, flags | O_CLOEXEC, 'int', 0))
  if (fd === -1) throw systemError('open', path)
  return fd
}

/** Stats what is at a path, a link at its end not followed; undefined when nothing is. @throws the system's error */
export function statPath(path: string): FileStat | undefined {
  try {
    return statAt(AT_FDCWD, path, path)
  } catch (error) {
    if (isErrno(error, 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** Closes what {@link Dir.open} opened. */
export function closeFile(fd: number): void {
  libc.close(fd)
}
