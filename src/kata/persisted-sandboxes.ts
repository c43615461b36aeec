import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { StateOrError } from '../backend.js'
import { ownError, StateStoreError, withSubject } from '../errors.js'
import { PERSIST_FILE, STATE_FILE } from '../file/layout.js'
import { Dir } from '../file/posix/dir.js'
import { readRegularFile } from '../file/posix/regular-file.js'
import { listIds } from '../file/read.js'
import { stateFromPersist } from './persist.js'

/** Kata's own are below 100 KiB, with all devices and networks. */
const MAX_PERSIST_BYTES = 4 * 1024 * 1024

/**
 * The sandboxes that Kata Containers 1.11 and later keep below a folder, each in `<id>/persist.json`, sorted by id, as a
 * store would list them; none where the folder is missing. It passes over folders without that file, reads only, and
 * follows no link.
 * @throws StateStoreError `IO_ERROR` when the folder cannot be read, `NOT_FOUND` when no folder in it is Kata's
 */
export async function* persistedSandboxes(folder: string): AsyncGenerator<StateOrError, void, undefined> {
  const root = resolve(folder)
  const ids = listIds(root)
  let isKatas = ids.length === 0
  for (const id of ids) {
    const entry = entryOf(root, id)
    if (entry === undefined) continue
    isKatas = true
    yield entry
  }
  if (isKatas) return
  const isOlder = ids.some(id => existsSync(join(root, id, STATE_FILE)))
  const why = isOlder
    ? `sandboxes with a ${STATE_FILE}, as Kata 1.0 to 1.10 keep them, are taken over with "sandbox-state copy"`
    : 'it is not where Kata keeps its sandboxes'
  throw new StateStoreError('NOT_FOUND', `no folder in ${root} has a ${PERSIST_FILE}: ${why}`, { path: root })
}

function entryOf(root: string, id: string): StateOrError | undefined {
  let folder: Dir | undefined
  try {
    folder = Dir.open(root, id)
    const file = folder && readRegularFile(folder, PERSIST_FILE, MAX_PERSIST_BYTES)
    if (folder === undefined || file === undefined) return undefined
    const text = Buffer.from(file.bytes).toString('utf8')
    const path = folder.displayPath(PERSIST_FILE)
    return { id, state: withSubject(path, { id, path }, () => stateFromPersist(text)) }
  } catch (error) {
    return { id, error: ownError(error) }
  } finally {
    folder?.close()
  }
}
