import { StateStoreError } from '../errors.js'
import { decodeState, isForeignSchema } from '../state/codec.js'
import { MAX_STATE_BYTES, type SandboxState } from '../state/sandbox-state.js'
import { STATE_FILE } from './layout.js'
import type { Dir } from './posix/dir.js'
import type { FileStat } from './posix/file-stat.js'
import { readRegularFile } from './posix/regular-file.js'

/** A state file that was read. */
export interface StateFile {
  readonly state: SandboxState
  readonly stat: FileStat
}

/**
 * Reads and decodes the state file of an open folder.
 * @returns undefined when it does not exist, or is another program's (Kata's Rust runtime, runc, youki)
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`, `IO_ERROR`
 */
export function readStateFile(dir: Dir): StateFile | undefined {
  const file = readRegularFile(dir, STATE_FILE, MAX_STATE_BYTES)
  if (file === undefined) return undefined
  const { bytes, stat } = file
  try {
    return { state: decodeState(bytes), stat }
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    if (isForeignSchema(bytes)) return undefined
    const path = dir.displayPath(STATE_FILE)
    throw new StateStoreError(error.code, `${path}: ${error.message}`, { id: dir.id, path })
  }
}

/** Differs after each replacement of a state file and each write to it. */
export function versionOf(stat: FileStat): string {
  return `${stat.ino}-${stat.mtimeMs}`
}
