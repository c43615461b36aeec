import { readdirSync } from 'node:fs'
import { ioError, isErrno } from '../errno.js'
import { isValidId } from '../sandbox-id.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { readAgain } from './lock/shared-lock.js'
import { Dir } from './posix/dir.js'
import { assertDir } from './root-dir.js'
import { isUnreadable, readStateFile } from './state-file.js'

/**
 * Reads a sandbox's state. Takes no lock and makes nothing: a state file is replaced whole. Only Kata writes in
 * place, under its exclusive lock; so a file that cannot be understood is looked at once more under a shared one.
 * @returns undefined when there is no such sandbox
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`, `IO_ERROR`
 */
export async function readSandbox(root: string, id: string): Promise<SandboxState | undefined> {
  const folder = Dir.open(root, id)
  if (folder === undefined) return undefined
  try {
    return readStateFile(folder)?.state
  } catch (error) {
    if (!isUnreadable(error)) throw error
    return (await readAgain(folder, () => readStateFile(folder)))?.state // It may be half written.
  } finally {
    folder.close()
  }
}

/**
 * The ids below a root, sorted: of every folder and link whose name is one. A root that does not exist has none.
 * @throws StateStoreError `IO_ERROR`
 */
export function listIds(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter(entry => (entry.isDirectory() || entry.isSymbolicLink()) && isValidId(entry.name))
      .map(entry => entry.name)
      .sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    assertDir(root, undefined, error)
    throw ioError(error, 'list', undefined, root)
  }
}
