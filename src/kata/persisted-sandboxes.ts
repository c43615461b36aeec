import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ListEntry } from '../backend.js'
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
 * store would list them. Folders without that file are none. Reads only, and follows no link.
 */
export class PersistedSandboxes {
  constructor(private readonly folder: string) {}

  /** @throws StateStoreError `IO_ERROR` when the folder cannot be read, `NOT_FOUND` when it holds other folders only */
  async *list(): AsyncGenerator<ListEntry, void, undefined> {
    const root = resolve(this.folder)
    try {
      statSync(root) // A root that is missing would be an empty one; here it is a mistake.
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
    if (!isKatas) {
      const message = `no folder in ${root} has a ${PERSIST_FILE}: it is not where Kata keeps its sandboxes`
      throw new StateStoreError('NOT_FOUND', message, { path: root })
    }
  }
}

function entryOf(root: string, id: string): ListEntry | undefined {
  let folder: Dir | undefined
  try {
    folder = Dir.open(root, id)
    const file = folder && readRegularFile(folder, PERSIST_FILE, MAX_PERSIST_BYTES)
    return file && { id, state: stateFromPersist(Buffer.from(file.bytes).toString('utf8')) }
  } catch (error) {
    if (error instanceof StateStoreError) return { id, error: located(error, id, folder) }
    throw error
  } finally {
    folder?.close()
  }
}

/** What is wrong with a text does not say where the text is. */
function located(error: StateStoreError, id: string, folder: Dir | undefined): StateStoreError {
  if (error.path !== undefined || folder === undefined) return error
  const path = folder.displayPath(PERSIST_FILE)
  return new StateStoreError(error.code, `${path}: ${error.message}`, { id, path, cause: error })
}
