import type { Stats } from 'node:fs'
import { StateStoreError } from '../errors.js'
import { decodeState, isForeignSchema, MAX_STATE_BYTES } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { STATE_FILE } from './layout.js'
import type { Dir } from './posix/dir.js'
import { readRegularFile } from './posix/regular-file.js'

/** One whole read of a state file. */
export interface StateFile {
  readonly state: SandboxState
  readonly uid: number
  readonly gid: number
  /** Differs after each replacement of the file and each write into it. */
  readonly version: string
}

/**
 * Reads and decodes the state file of an open folder.
 * @returns undefined when there is none, or one of another schema (Kata's Rust runtime), which is not ours.
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`, `IO_ERROR`
 */
export function readStateFile(folder: Dir): StateFile | undefined {
  const path = folder.displayPath(STATE_FILE)
  const file = readRegularFile(folder, STATE_FILE, MAX_STATE_BYTES)
  if (file === undefined) return undefined
  const { bytes, stat } = file
  try {
    return { state: decodeState(bytes), uid: stat.uid, gid: stat.gid, version: versionOf(stat) }
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    if (isForeignSchema(bytes)) return undefined
    throw new StateStoreError(error.code, `${path}: ${error.message}`, { id: folder.id, path, cause: error })
  }
}

export function versionOf(stat: Stats): string {
  return `${stat.ino}-${stat.mtimeMs}`
}

/** Whether what a state file holds is the reason that it cannot be read. */
export function isUnreadable(error: unknown): boolean {
  return (
    error instanceof StateStoreError && (error.code === 'CORRUPT_STATE' || error.code === 'INVALID_STATE')
  )
}
