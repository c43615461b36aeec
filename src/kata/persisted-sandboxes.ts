import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { StateOrError } from '../backend.js'
import { ioError } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { PERSIST_FILE } from '../file/layout.js'
import { Dir } from '../file/posix/dir.js'
import { readRegularFile } from '../file/posix/regular-file.js'
import { listIds } from '../file/read.js'
import { stateFromPersist } from './persist.js'

/** Kata's own are below 100 KiB, with all devices and networks. */
const MAX_PERSIST_BYTES = 4 * 1024 * 1024

/**
 * The sandboxes that Kata Containers 1.11 and later keep below a folder, each in `<id>/persist.json`, sorted by id, as a
 * store would list them. It passes over folders without that file, reads only, and follows no link.
 * @throws StateStoreError `IO_ERROR` when the folder cannot be read, `NOT_FOUND` when no folder in it is Kata's
 */
export async function* persistedSandboxes(folder: string): AsyncGenerator<StateOrError, void, undefined> {
  const root = resolve(folder)
  try {
    statSync(root) // A missing root would count as an empty one; here it is a mistake.
  } catch (error) {
    throw ioError(error, 'read', undefined, root)
  }
  const ids = listIds(root)
  let isKatas = ids.length === 0
  for (const id of ids) {
    const entry = entryOf(root, id)
    if (entry === undefined) continue
    isKatas = true
    yield entry
  }
  if (isKatas) return
  const message = `no folder in ${root} has a ${PERSIST_FILE}: it is not where Kata keeps its sandboxes`
  throw new StateStoreError('NOT_FOUND', message, { path: root })
}

function entryOf(root: string, id: string): StateOrError | undefined {
  let folder: Dir | undefined
  try {
    folder = Dir.open(root, id)
    const file = folder && readRegularFile(folder, PERSIST_FILE, MAX_PERSIST_BYTES)
    return file && { id, state: stateFromPersist(Buffer.from(file.bytes).toString('utf8')) }
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    if (error.path !== undefined || folder === undefined) return { id, error }
    // The reader of the text does not know where it is.
    const path = folder.displayPath(PERSIST_FILE)
    const message = `${path}: ${error.message}`
    return { id, error: new StateStoreError(error.code, message, { id, path, cause: error }) }
  } finally {
    folder?.close()
  }
}
