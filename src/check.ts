import { StateStoreError } from './errors.js'
import { decodeState, isForeignSchema } from './state/codec.js'

/** Every kind of fault that a check can find. A code never changes its meaning between majors; messages may. */
export const FINDING_CODES = [
  /** A state that is not one complete JSON object: truncated, overwritten, or never JSON. */
  'CORRUPT_STATE',
  /** An empty state file. */
  'EMPTY_STATE',
  /** A state file of NUL bytes only, as after a power cut when its content had not reached the disk. */
  'NUL_STATE',
  /** A state that is JSON, but a field or the state itself is not valid. */
  'INVALID_STATE',
  /** A history file that contains a malformed line. */
  'DAMAGED_HISTORY',
  /** A file that is too large to be read, or a folder with too many entries to be checked. */
  'OVERSIZE',
  /** A symbolic link where a file or a folder of ours belongs. It is never followed. */
  'SYMLINK',
  /** A FIFO, socket, device or folder where a file of ours belongs. */
  'NOT_A_FILE',
  /** Something other than a folder where one belongs, or a lock folder that is not empty. */
  'NOT_A_FOLDER',
  /** A file that is written in place, and that has another name elsewhere. */
  'HARD_LINK',
  /** A folder without a state: a create or a delete was killed. */
  'UNFINISHED_CREATE',
  /** A temporary file of a process that was killed. */
  'LEFTOVER',
  /** A proper-lockfile lock on the state file whose holder is dead. */
  'DEAD_LOCK',
  /** Another program's proper-lockfile lock with a time in the future; it cannot become stale until then. */
  'FUTURE_LOCK',
  /** A mode that lets others in, or keeps the owner out. */
  'WRONG_MODE',
  /** A file or folder that belongs neither to the owner of the root nor to the user who checks. */
  'WRONG_OWNER',
  /** A name that is not a sandbox id. */
  'INVALID_ID',
  /** A sandbox of another program's schema: Kata's `persist.json`, or the state of its Rust runtime, runc or youki. Not a fault. */
  'FOREIGN_SCHEMA',
  /** Kata's `persist.json` beside a state of ours, which may be out of date: Kata 1.11 and later use the former. */
  'MIXED_SCHEMA',
  /** Something that the operating system did not let us read. */
  'UNREADABLE',
] as const

/** One of {@link FINDING_CODES}. */
export type FindingCode = (typeof FINDING_CODES)[number]

/** One fault. */
export interface Finding {
  /** What kind of fault it is. */
  readonly code: FindingCode
  /** The sandbox, if the fault concerns one. */
  readonly id?: string
  /** The file or folder. */
  readonly path: string
  /** For people. Content of files is quoted and escaped; paths are not. */
  readonly message: string
  /** Whether `repair` would act on it. Otherwise somebody has to decide. */
  readonly repairable: boolean
}

/** A sandbox of another program is reported, but nothing is wrong with it. */
export function isFault({ code }: Pick<Finding, 'code'>): boolean {
  return code !== 'FOREIGN_SCHEMA'
}

/**
 * What `repair` did about a fault: `removed` a leftover, `moved` what is damaged to the quarantine, set a mode (`chmod`),
 * `left` it for somebody to decide, gave up as the sandbox stayed locked (`busy`), or `failed`.
 */
export type RepairAction = 'removed' | 'moved' | 'chmod' | 'left' | 'busy' | 'failed'

/** One fault and what `repair` did about it. */
export interface Repair extends Omit<Finding, 'repairable'> {
  /** What was done. */
  readonly action: RepairAction
  /** Where it was moved to. In a dry run, the quarantine. */
  readonly to?: string
  /** The finding's, or why nothing was done. */
  readonly message: string
}

/** How to check. */
export interface CheckOptions {
  /** Called after each sandbox with the number checked so far. If it throws, the check ends with that error. */
  readonly onProgress?: (sandboxes: number) => void
}

/** How to repair. */
export interface RepairOptions extends CheckOptions {
  /** Whether to change nothing and return what would be done; false by default. */
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
