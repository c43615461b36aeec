import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { SandboxState } from '../state/sandbox-state.js'
import type { SandboxFolder } from './folder.js'
import { FILE_MODE, HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { thisProcess } from './process-identity.js'

/** One line of a history file. */
export interface HistoryLine {
  readonly seq: number
  /** ISO 8601. */
  readonly time: string
  /** The state before; null for a create. */
  readonly from: string | null
  readonly to: string
  /** The other fields that changed. */
  readonly fields?: readonly string[]
  readonly pid: number
  readonly host: string
  readonly command: string
  /** Set when something happened before this that the history does not tell. */
  readonly gap?: true
  /** The version of the state file that the change left. */
  readonly file: string
}

/** A change, as far as its history line tells of it. */
export interface Recorded {
  readonly before: SandboxState | undefined
  readonly after: SandboxState
  /** The state file's version before the change; '' for a create. */
  readonly found: string
  /** And after it. */
  readonly left: string
}

/** A file grows to this many bytes; then it becomes the old one, and the old one goes. */
const ROTATE_AT = 64 * 1024
/** Room for the last line: no line is longer. */
const TAIL = 1024

/**
 * Appends a change's line. A history that cannot be written never fails a change, which is done by now: the next
 * line finds that the state file is not as the last line left it, and says that there is a gap.
 */
export function appendHistory(folder: SandboxFolder, change: Recorded): void {
  try {
    if (change.before === undefined) removeHistory(folder)
    append(folder, change)
  } catch {
    // See above.
  }
}

export function removeHistory(folder: SandboxFolder): void {
  rmSync(folder.at(HISTORY_FILE), { force: true })
  rmSync(folder.at(OLD_HISTORY_FILE), { force: true })
}

function append(folder: SandboxFolder, change: Recorded): void {
  let { fd, size } = openHistory(folder)
  try {
    const tail = readTail(fd, size)
    const line = JSON.stringify(historyLine(change, lastLine(tail)))
    if (size + line.length > ROTATE_AT) {
      renameSync(folder.at(HISTORY_FILE), folder.at(OLD_HISTORY_FILE))
      closeSync(fd)
      fd = -1
      fd = openHistory(folder).fd
      writeFileSync(fd, `${line}\n`)
    } else {
      // A line that a kill or a full disk cut short stays by itself.
      const torn = tail !== '' && !tail.endsWith('\n')
      writeFileSync(fd, `${torn ? '\n' : ''}${line}\n`)
    }
  } finally {
    if (fd !== -1) closeSync(fd)
  }
}

function openHistory(folder: SandboxFolder): { fd: number; size: number } {
  const { O_RDWR, O_CREAT, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants
  const fd = openSync(
    folder.at(HISTORY_FILE),
    O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK,
    FILE_MODE,
  )
  const stat = fstatSync(fd)
  if (stat.isFile()) return { fd, size: stat.size }
  closeSync(fd)
  throw new Error(`${folder.show(HISTORY_FILE)} is not a regular file`)
}

function readTail(fd: number, size: number): string {
  const buffer = Buffer.allocUnsafe(Math.min(size, TAIL))
  const length = readSync(fd, buffer, 0, buffer.length, size - buffer.length)
  return buffer.toString('latin1', 0, length)
}

/** What the next line needs of the last one. */
interface LastLine {
  readonly seq: number
  readonly file: string
}

function lastLine(tail: string): LastLine | undefined {
  const text = tail.trimEnd()
  try {
    const { seq, file } = JSON.parse(text.slice(text.lastIndexOf('\n') + 1))
    return Number.isSafeInteger(seq) && typeof file === 'string' ? { seq, file } : undefined
  } catch {
    return undefined
  }
}

function historyLine({ before, after, found, left }: Recorded, last: LastLine | undefined): HistoryLine {
  const { pid, host, command } = thisProcess()
  const gap = before !== undefined && last?.file !== found
  const fields = before === undefined ? [] : changedFields(before, after)
  return {
    seq: (last?.seq ?? 0) + 1,
    time: new Date().toISOString(),
    from: before?.state ?? null,
    to: after.state,
    ...(fields.length === 0 ? {} : { fields }),
    pid,
    host,
    command,
    ...(gap ? { gap } : {}),
    file: left,
  }
}

const FIELDS = ['blockIndex', 'guestMemoryBlockSize', 'guestMemoryHotplugProbe', 'cgroupPath'] as const

function changedFields(before: SandboxState, after: SandboxState): string[] {
  return FIELDS.filter(field => before[field] !== after[field])
}
