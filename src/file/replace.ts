import { closeSync, constants, fstatSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { onExit } from 'signal-exit'
import writeFileAtomic from 'write-file-atomic'
import { StateStoreError } from '../errors.js'
import { ioError, reason } from './errno.js'
import type { SandboxFolder } from './folder.js'
import { FILE_MODE, STATE_FILE } from './layout.js'
import { versionOf } from './state-file.js'
import type { StateLock } from './state-lock.js'

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
export function replaceStateFile(folder: SandboxFolder, lock: StateLock, replacement: Replacement): string {
  const { text, uid, gid, durable } = replacement
  let version = ''
  try {
    writeFileAtomic.sync(folder.atFromInside(lock.fd, STATE_FILE), nothing, {
      mode: FILE_MODE,
      chown: { uid, gid },
      fsync: durable,
      tmpfileCreated(path: string) {
        version = writeWhole(path, text)
      },
    })
    return version
  } catch (error) {
    throw ioError(error, 'replace', folder.id, folder.show(STATE_FILE))
  }
}

/** The package ignores how much of its data was written, and would commit the first half of it; hence the hook. */
const nothing = Buffer.alloc(0)

/** Writes the whole text or throws. */
function writeWhole(path: string, text: string): string {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW)
  try {
    writeFileSync(fd, text)
    return versionOf(fstatSync(fd))
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes names in a folder durable.
 * @throws StateStoreError `OUTCOME_UNKNOWN`: the change is in place, but a power cut may undo it.
 */
export function syncFolder(fd: number, id: string, path: string): void {
  try {
    fsyncSync(fd)
  } catch (error) {
    const message = `${path} was changed, but the disk did not confirm it: ${reason(error)}`
    throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
  }
}
