import { closeSync, constants, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { ioError, reason } from '../errno.js'
import { StateStoreError } from '../errors.js'
import type { Dir } from './posix/dir.js'
import { statFd } from './posix/file-stat.js'
import { ancestorsToFlush, assertDir, makeRootDir } from './root-dir.js'

// What a change must have on the disk before it goes on. Each function yields the descriptors to flush; how that is done is
// the caller's business.

type Flushes = Generator<number, void, void>

/**
 * Makes the root if it is missing; a new one must itself survive a power cut.
 * @param isUnsure whether the root, though it exists, may be as new: the process that made it may have been killed
 */
export function* makeRoot(root: string, id: string, durable: boolean, isUnsure: boolean): Flushes {
  try {
    const isNew = makeRootDir(root)
    if (durable && (isNew || isUnsure)) yield* ancestorsToFlush(root)
  } catch (error) {
    assertDir(root, id, error)
    throw ioError(error, 'make', id, root)
  }
}

/** A new folder is a name in the root, which needs a flush as much as a name in the folder. */
export function* flushParent({ id, path }: Dir): Flushes {
  const root = dirname(path)
  try {
    const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      yield fd
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw ioError(error, 'flush', id, root)
  }
}

/** @throws StateStoreError `OUTCOME_UNKNOWN`: the change is in place, but a power cut may undo it */
export function* flushDir({ fd, id, path }: Dir): Flushes {
  try {
    yield fd
    statFd(fd) // An XFS that has shut down reports that folders are flushed, but cannot stat them.
  } catch (error) {
    const message = `${path} was changed, but the disk did not confirm it: ${reason(error)}`
    throw new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause: error })
  }
}
