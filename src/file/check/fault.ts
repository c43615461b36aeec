import type { Finding, FindingCode, RepairAction } from '../../check.js'

/** What `repair` does about a fault, unless the sandbox is busy. */
export type Remedy = Extract<RepairAction, 'removed' | 'moved' | 'chmod' | 'left'>

/** A finding, with what `repair` does about it. */
export interface Fault extends Omit<Finding, 'repairable'> {
  readonly remedy: Remedy
}

/** The remedies by default. */
const REMEDIES: Readonly<Record<FindingCode, Remedy>> = {
  CORRUPT_STATE: 'moved',
  EMPTY_STATE: 'moved',
  NUL_STATE: 'moved',
  INVALID_STATE: 'moved',
  DAMAGED_HISTORY: 'moved',
  OVERSIZE: 'moved',
  SYMLINK: 'moved',
  NOT_A_FILE: 'moved',
  NOT_A_FOLDER: 'moved',
  HARD_LINK: 'left',
  UNFINISHED_CREATE: 'removed',
  LEFTOVER: 'removed',
  DEAD_LOCK: 'removed',
  FUTURE_LOCK: 'left',
  WRONG_MODE: 'chmod',
  WRONG_OWNER: 'left',
  INVALID_ID: 'left',
  FOREIGN_SCHEMA: 'left',
  MIXED_SCHEMA: 'left',
  UNREADABLE: 'left',
}

/** @param why what is wrong at the path */
export function faultAt(
  path: string,
  code: FindingCode,
  why: string,
  { id, remedy = REMEDIES[code] }: { id?: string; remedy?: Remedy | undefined } = {},
): Fault {
  return { code, ...(id !== undefined && { id }), path, message: `${path}: ${why}`, remedy }
}
