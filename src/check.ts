import { StateStoreError } from './errors.js'
import { decodeState, isForeignSchema } from './state/codec.js'

/** Every kind of fault that a check can find. A code never changes its meaning between majors; messages may. */
export const FINDING_CODES = [
  /** A state that is not one whole JSON object: cut off, overwritten, or never JSON. */
  'CORRUPT_STATE',
  /** A state file without a byte. */
  'EMPTY_STATE',
  /** A state file of NULs only, as a power cut leaves one whose content never reached the disk. */
  'NUL_STATE',
  /** A state that is JSON, but a field or the state itself is not valid. */
  'INVALID_STATE',
  /** A history file that contains a malformed line. */
  'DAMAGED_HISTORY',
  /** A file larger than any that is read, or a folder of more entries than are looked at. */
  'OVERSIZE',
  /** A symbolic link where a file or a folder of ours belongs. It is never followed. */
  'SYMLINK',
  /** A FIFO, socket, device or folder where a file of ours belongs. */
  'NOT_A_FILE',
  /** Something else than a folder where one belongs, or a lock folder that is not empty. */
  'NOT_A_FOLDER',
  /** A file that is written in place, and that has another name elsewhere. */
  'HARD_LINK',
  /** A folder without a state: its create was killed, or its delete. */
  'UNFINISHED_CREATE',
  /** A temporary file of a process that was killed. */
  'LEFTOVER',
  /** A proper-lockfile lock on the state file whose holder is dead. */
  'DEAD_LOCK',
  /** Another program's proper-lockfile lock from the future: nobody takes it for one left behind until that time has come. */
  'FUTURE_LOCK',
  /** Rights that let others in, or keep the owner out. */
  'WRONG_MODE',
  /** Neither the owner of the root nor the user who checks. */
  'WRONG_OWNER',
  /** A name that is no sandbox id. */
  'INVALID_ID',
  /** A sandbox of another program's schema: Kata's `persist.json`, or the state of its Rust runtime, runc or youki. No fault. */
  'FOREIGN_SCHEMA',
  /** Kata's `persist.json` beside a state of ours, which may be out of date: Kata 1.11 and later go by the former. */
  'MIXED_SCHEMA',
  /** What the operating system would not let us read. */
  'UNREADABLE',
] as const

/** One of {@link FINDING_CODES}. */
export type FindingCode = (typeof FINDING_CODES)[number]

/** One fault. */
export interface Finding {
  /** What kind of fault it is. */
  readonly code: FindingCode
  /** The sandbox, if it is about one. */
  readonly id?: string
  /** The file or folder. */
  readonly path: string
  /** For people. What comes from a file is quoted and escaped in it; the path's own characters are as they are. */
  readonly message: string
  /** Whether `repair` would act on it. What it leaves needs somebody who knows what it is. */
  readonly repairable: boolean
}

/** That there are sandboxes of another program is worth a row, but nothing is wrong with them. */
export function isFault({ code }: Pick<Finding, 'code'>): boolean {
  return code !== 'FOREIGN_SCHEMA'
}

/**
 * What `repair` did about a fault: `removed` a leftover, `moved` what is damaged to the quarantine, `chmod` set a mode;
 * `left` it to people; found the sandbox `busy` for as long as it may wait; or `failed`.
 */
export type RepairAction = 'removed' | 'moved' | 'chmod' | 'left' | 'busy' | 'failed'

/** One fault and what became of it. */
export interface Repair extends Omit<Finding, 'repairable'> {
  /** What became of it. */
  readonly action: RepairAction
  /** Where it was moved to. In a dry run, the quarantine. */
  readonly to?: string
  /** The finding's, or why nothing was done. */
  readonly message: string
}

/** How to check. */
export interface CheckOptions {
  /** Called after each sandbox, with how many were looked at so far. What it throws ends the work. */
  readonly onProgress?: (sandboxes: number) => void
}

/** How to repair. */
export interface RepairOptions extends CheckOptions {
  /** Whether to do nothing and return what would be done; false by default. */
  readonly dryRun?: boolean
}

/** A fault of a state's content. */
export type StateFault = Pick<Finding, 'code' | 'message'>

/** What is wrong with the content of a state file, or with a state kept elsewhere; undefined when nothing is. */
export function stateFault(bytes: Uint8Array): StateFault | undefined {
  if (bytes.length === 0) return { code: 'EMPTY_STATE', message: 'it is empty' }
  if (bytes.every(byte => byte === 0)) {
    return { code: 'NUL_STATE', message: `it is ${bytes.length} NUL bytes and nothing else` }
  }
  try {
    decodeState(bytes)
    return undefined
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    if (isForeignSchema(bytes)) {
      return { code: 'FOREIGN_SCHEMA', message: "it is of another program's schema" }
    }
    const code = error.code === 'INVALID_STATE' ? 'INVALID_STATE' : 'CORRUPT_STATE'
    return { code, message: error.message }
  }
}
