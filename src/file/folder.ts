import { closeSync, constants, lstatSync, openSync, readlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { StateStoreError } from '../errors.js'
import { ioError, isErrno } from './errno.js'

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/** Where the kernel shows a process its own descriptors as links that lead to the open file itself, whatever its name is now. */
const DESCRIPTORS = descriptors()

/** `self` is itself a link, one step more on each way; it is needed where `/proc` counts processes otherwise than we do. */
function descriptors(): string | undefined {
  try {
    return readlinkSync('/proc/self') === String(process.pid) ? `/proc/${process.pid}/fd` : '/proc/self/fd'
  } catch {
    return undefined
  }
}

/**
 * A sandbox's folder, held open. Everything in it is reached through the descriptor, so that a folder that is
 * renamed or replaced by a symbolic link after the check cannot lead elsewhere. (Node has no openat(2); on
 * Linux a path below `/proc/PID/fd/N` is the same thing. macOS has none, there the plain path is used.)
 */
export class SandboxFolder {
  constructor(
    readonly id: string,
    /** For people and messages. */
    readonly path: string,
    readonly fd: number,
  ) {}

  /**
   * Opens `<root>/<id>`; undefined when there is none.
   * @throws StateStoreError `CORRUPT_STATE` when it is a symbolic link or no folder, `IO_ERROR` otherwise.
   */
  static open(root: string, id: string): SandboxFolder | undefined {
    const path = join(root, id)
    try {
      return new SandboxFolder(id, path, openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      if (isErrno(error, 'ENOTDIR', 'ELOOP')) {
        const message = `${path} is not a folder (a symbolic link is not followed)`
        throw new StateStoreError('CORRUPT_STATE', message, { id, path, cause: error })
      }
      throw ioError(error, 'open', id, path)
    }
  }

  /** The path by which system calls reach a file in this folder. */
  at(name: string): string {
    return DESCRIPTORS ? `${DESCRIPTORS}/${this.fd}/${name}` : join(this.path, name)
  }

  /** A file's path for messages. */
  show(name: string): string {
    return join(this.path, name)
  }

  close(): void {
    closeSync(this.fd)
  }
}

/**
 * Whether something of that name, a dangling link included, is in the folder.
 * @throws StateStoreError `IO_ERROR`
 */
export function hasEntry(folder: SandboxFolder, name: string): boolean {
  try {
    return lstatSync(folder.at(name), { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw ioError(error, 'look for', folder.id, folder.show(name))
  }
}

/**
 * Removes a file or a link, if there is one; a folder of that name stays. (Not `rmSync`: it looks first, and once it
 * has seen a folder it removes all that is below, links swapped in on the way included.)
 */
export function removeFile(folder: SandboxFolder, name: string): void {
  try {
    unlinkSync(folder.at(name))
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'EISDIR', 'EPERM')) throw error
  }
}
