import { writeFileSync } from 'node:fs'
import { thisProcess } from '../process-identity.js'
import { changedFields } from '../state/changed-fields.js'
import { isValidState } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { openToAppend, ROTATE_AT } from './history-file.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { closeFile, type Dir, removeFile } from './posix/dir.js'
import { openRegularFile, readTail } from './posix/regular-file.js'

/** One line of a history file. */
interface HistoryLine {
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

/** Room for the last line, as long as it is whole and one of ours: no such line is longer. */
const TAIL = 1024

/**
 * Appends a change's line. A history that cannot be written never fails a change, which is done by now: the next
 * line finds that the state file is not as the last line left it, and says that there is a gap.
 */
export function appendHistory(folder: Dir, change: Recorded): void {
  try {
    if (change.before === undefined) removeHistory(folder)
    append(folder, change)
  } catch {
    // See above.
  }
}

/** Does what can be done: a line of a create says by itself that what comes before it is of another sandbox. */
export function removeHistory(folder: Dir): void {
  for (const name of [HISTORY_FILE, OLD_HISTORY_FILE]) {
    try {
      removeFile(folder, name)
    } catch {
      // See above.
    }
  }
}

function append(folder: Dir, change: Recorded): void {
  let { fd, size } = openToAppend(folder)
  try {
    const tail = tailText(fd, size, TAIL)
    const last = change.before && (lastLine(tail) ?? lastLineFartherBack(folder, fd, size))
    const line = JSON.stringify(historyLine(change, last))
    if (size + line.length > ROTATE_AT) {
      folder.rename(HISTORY_FILE, OLD_HISTORY_FILE)
      closeFile(fd)
      fd = -1
      fd = openToAppend(folder).fd
      writeFileSync(fd, `${line}\n`)
    } else {
      // A line that a kill or a full disk cut short stays by itself.
      const torn = tail !== '' && !tail.endsWith('\n')
      writeFileSync(fd, `${torn ? '\n' : ''}${line}\n`)
    }
  } finally {
    if (fd !== -1) closeFile(fd)
  }
}

/** In ASCII, as our lines are: what else there may be need only be no line of ours. */
function tailText(fd: number, size: number, limit: number): string {
  return readTail(fd, size, limit).toString('latin1')
}

/** What the next line needs of the last one. */
interface LastLine {
  readonly seq: number
  readonly to: string
  readonly file: string
}

/** The last line in a text that is one. What is none, after it, shows in the file itself. */
function lastLine(text: string): LastLine | undefined {
  for (let end = text.length; end > 0; ) {
    const start = text.lastIndexOf('\n', end - 1) + 1
    const found = start === end ? undefined : parseLine(text.slice(start, end))
    if (found !== undefined) return found
    end = start - 1
  }
  return undefined
}

function parseLine(line: string): LastLine | undefined {
  try {
    const { seq, to, file } = JSON.parse(line)
    if (!Number.isSafeInteger(seq + 1) || seq < 1 || !isValidState(to) || typeof file !== 'string') {
      return undefined
    }
    return { seq, to, file }
  } catch {
    return undefined
  }
}

/** The end of the file is damaged, or there is nothing in it since a rotation was cut short. */
function lastLineFartherBack(folder: Dir, fd: number, size: number): LastLine | undefined {
  const inThis = lastLine(tailText(fd, size, ROTATE_AT))
  if (inThis !== undefined) return inThis
  const old = openRegularFile(folder, OLD_HISTORY_FILE)
  if (old === undefined) return undefined
  try {
    return lastLine(tailText(old.fd, old.stat.size, ROTATE_AT))
  } finally {
    closeFile(old.fd)
  }
}

function historyLine({ before, after, found, left }: Recorded, last: LastLine | undefined): HistoryLine {
  const { pid, host, command } = thisProcess()
  const gap = before !== undefined && !tellsOf(last, before, found)
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

/**
 * Whether the last line is of the change that left the state as it was found. The version alone would do, but for a
 * write in place within one tick of the kernel's clock.
 */
function tellsOf(last: LastLine | undefined, before: SandboxState, found: string): boolean {
  return last !== undefined && last.file === found && last.to === before.state
}
