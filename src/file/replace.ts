import fs, {
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  type Mode,
  type PathLike,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { onExit } from 'signal-exit'
import writeFileAtomic from 'write-file-atomic'
import { StateStoreError } from '../errors.js'
import { ioError, isErrno, reason } from './errno.js'
import type { SandboxFolder } from './folder.js'
import { FILE_MODE, STATE_FILE } from './layout.js'
import { versionOf } from './state-file.js'

// write-file-atomic registers with signal-exit on each call, which adds handlers for every signal when it is the
// first there, and removes them when it is the last. One that stays makes it neither, at a fifth of the cost.
onExit(() => {})

// signal-exit also ends the process on SIGXFSZ, unless somebody else listens. Node by itself ignores that signal, so that
// a write beyond the largest size of a file (`ulimit -f`) fails with EFBIG; here, too, it shall be an error of one change.
process.on('SIGXFSZ', () => {})

export interface Replacement {
  readonly text: string
  /** Whose the file shall be: as the one that it replaces, so that root does not lock its owner out. */
  readonly uid: number
  readonly gid: number
  /** Whether to wait until the content and then the name are on the disk. */
  readonly durable: boolean
}

/**
 * Replaces the state file: a temporary file is written, fsynced and renamed over it; the folder is not yet fsynced.
 * @returns the new file's version
 * @throws StateStoreError `IO_ERROR`; the file is then the old one, and the temporary one is gone.
 */
export function replaceStateFile(folder: SandboxFolder, replacement: Replacement): string {
  let version = ''
  const { uid, gid, durable } = replacement
  const options: writeFileAtomic.Options = { mode: FILE_MODE, chown: { uid, gid }, fsync: durable }
  try {
    withOurOpen(
      fd => {
        options.tmpfileCreated = () => {
          version = fill(fd, replacement)
          // Both are done. The package would do them by name, which by now may be a link to another's file.
          options.chown = undefined
          options.mode = undefined
        }
      },
      () => writeFileAtomic.sync(folder.at(STATE_FILE), nothing, options),
    )
    return version
  } catch (error) {
    throw ioError(error, 'replace', folder.id, folder.show(STATE_FILE))
  }
}

/** The package ignores how much of its data was written, and would commit the first half of it; hence the hook. */
const nothing = Buffer.alloc(0)

/**
 * Lets write-file-atomic do two things in another way, for which it has no options, while it runs and so nothing else
 * can in this thread. It opens its temporary file whatever is there, through a link as well, and empties it, though
 * the name can be foretold: here, only where nothing is. And it looks up the real path of its target, which would
 * leave the folder that is held open for whatever now has its name: here, the path stays as it is.
 */
function withOurOpen(opened: (fd: number) => void, write: () => void): void {
  const { openSync, realpathSync } = fs
  fs.openSync = (path, _flags, mode) => {
    const fd = openExclusively(openSync, path, mode)
    opened(fd)
    return fd
  }
  fs.realpathSync = Object.assign((path: unknown) => path, {
    native: realpathSync.native,
  }) as typeof realpathSync
  try {
    write()
  } finally {
    Object.assign(fs, { openSync, realpathSync })
  }
}

/** What is there of that name is a dead process's, since we hold the lock, or was planted. */
function openExclusively(
  openSync: typeof fs.openSync,
  path: PathLike,
  mode: Mode | null | undefined,
): number {
  try {
    return openSync(path, 'wx', mode)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    unlinkSync(path)
    return openSync(path, 'wx', mode)
  }
}

/** Writes the whole text, and gives the file its owner and mode, whatever the umask; or throws. */
function fill(fd: number, { text, uid, gid }: Replacement): string {
  writeFileSync(fd, text)
  const stat = fstatSync(fd)
  if (stat.uid !== uid || stat.gid !== gid) give(fd, uid, gid)
  if ((stat.mode & 0o7777) !== FILE_MODE) fchmodSync(fd, FILE_MODE)
  return versionOf(stat)
}

/** Only root can give a file away; another user's change then leaves it that user's. */
function give(fd: number, uid: number, gid: number): void {
  try {
    fchownSync(fd, uid, gid)
  } catch (error) {
    if (process.geteuid?.() === 0 || !isErrno(error, 'EPERM', 'EINVAL')) throw error
  }
}

/**
 * Makes names in a folder durable.
 * @throws StateStoreError `OUTCOME_UNKNOWN`: the change is in place, but a power cut may undo it.
 */
export function syncFolder(fd: number, id: string, path: string): void {
  try {
    fsyncSync(fd)
    // XFS that has shut itself down says of folders that they are flushed, but not what they are.
    fstatSync(fd)
  } catch (error) {
    const message = `${path} was changed, but the disk did not confirm it: ${reason(error)}`
    throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
  }
}
