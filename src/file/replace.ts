import fs, { constants, fchmodSync, fchownSync, fstatSync, writeFileSync } from 'node:fs'
import { onExit } from 'signal-exit'
import writeFileAtomic from 'write-file-atomic'
import { ioError, isErrno, reason } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { flush } from './flush.js'
import { FILE_MODE, STATE_FILE } from './layout.js'
import { closeFile, type Dir } from './posix/dir.js'
import { versionOf } from './state-file.js'

const { O_WRONLY, O_CREAT, O_EXCL } = constants

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
export function replaceStateFile(folder: Dir, replacement: Replacement): string {
  let version = ''
  const { text, uid, gid, durable } = replacement
  const write = (fd: number) => {
    version = fill(fd, replacement)
  }
  const options = { mode: FILE_MODE, chown: { uid, gid }, fsync: durable }
  try {
    within(folder, write, () => writeFileAtomic.sync(STATE_FILE, text, options))
    return version
  } catch (error) {
    throw ioError(error, 'replace', folder.id, folder.displayPath(STATE_FILE))
  }
}

/**
 * Lets write-file-atomic work in a folder that is held open, whatever has its name by now: while it runs, and so nothing
 * else can in this thread, the names that it gives to `node:fs` are names in that folder. It has no option for that, nor
 * for these: it ignores how much of its text was written, and would commit the first half of it; it opens its temporary
 * file whatever is there, through a link as well, though the name can be foretold; it sets the owner and the mode by name,
 * which by then may be a link to another's file.
 */
function within(folder: Dir, write: (fd: number) => void, replace: () => void): void {
  const ours = {
    openSync: (name: string, _flags: unknown, mode: number) => openExclusively(folder, name, mode),
    writeSync: write,
    fsyncSync: flush,
    closeSync: closeFile,
    chownSync: done,
    chmodSync: done,
    realpathSync: (name: string) => name,
    renameSync: (from: string, to: string) => folder.rename(from, to),
    unlinkSync: (name: string) => folder.unlink(name),
  }
  const nodes = Object.fromEntries(Object.keys(ours).map(name => [name, Reflect.get(fs, name) as unknown]))
  Object.assign(fs, ours)
  try {
    replace()
  } finally {
    Object.assign(fs, nodes)
  }
}

/** The owner and the mode are set with the content. */
function done(): void {}

/** What is there of that name is a dead process's, since we hold the lock, or was planted. */
function openExclusively(folder: Dir, name: string, mode: number): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL
  try {
    return folder.open(name, flags, mode)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
    folder.unlink(name)
    return folder.open(name, flags, mode)
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
    flush(fd)
    // XFS that has shut itself down says of folders that they are flushed, but not what they are.
    fstatSync(fd)
  } catch (error) {
    const message = `${path} was changed, but the disk did not confirm it: ${reason(error)}`
    throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
  }
}
