import { constants } from 'node:fs'
import { isErrno } from '../errno.js'
import { thisProcess } from '../process-identity.js'
import { changedFields } from '../state/fields.js'
import { unicodeEscape } from '../state/go-text.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { type HistoryLine, type LastLine, lastLine } from './history-line.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { createFile } from './posix/create-file.js'
import { closeFile, type Dir, removeFile } from './posix/dir.js'
import { writeAll } from './posix/file-io.js'
import { isRegularFile, statFd } from './posix/file-stat.js'
import { type OpenFile, readTail, withRegularFile } from './posix/regular-file.js'

const { O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants

/** A history file grows to this many bytes; then it becomes the old one, and the old one goes. */
export const ROTATE_AT = 64 * 1024

/** Room for the last line, as long as it is whole and one of ours: no such line is longer. */
const TAIL = 4096

/** A change, as far as its history line tells of it. */
export interface Recorded {
  readonly before: SandboxState | undefined
  readonly after: SandboxState
  readonly reason: string | undefined
  /** The state file's version before the change; undefined for a create. */
  readonly fileBefore: string | undefined
  readonly fileAfter: string
}

/**
 * Appends a change's line. A history that cannot be written never fails a change, which is done by now: the next
 * line finds that the state file is not as the last line left it, and says that there is a gap.
 */
export function appendHistory(dir: Dir, change: Recorded): void {
  try {
    append(dir, change)
  } catch {
    // See above.
  }
}

/** Does what it can: the line of a create says by itself that what comes before it belongs to another sandbox. */
export function removeHistory(dir: Dir): void {
  for (const name of [HISTORY_FILE, OLD_HISTORY_FILE]) {
    try {
      removeFile(dir, name)
    } catch {
      // See above.
    }
  }
}

function append(dir: Dir, change: Recorded): void {
  const file = openToAppend(dir)
  try {
    const tail = textOf(readTail(file, TAIL))
    const last = change.before && (lastLine(tail) ?? lastLineFartherBack(dir, file))
    const line = toAscii(JSON.stringify(lineOf(change, last)))
    if (file.stat.size + line.length > ROTATE_AT) {
      dir.rename(HISTORY_FILE, OLD_HISTORY_FILE)
      append(dir, change)
    } else {
      // A line that a kill or a full disk cut short stays by itself.
      const torn = tail !== '' && !tail.endsWith('\n')
      writeAll(file.fd, Buffer.from(`${torn ? '\n' : ''}${line}\n`))
    }
  } finally {
    closeFile(file.fd)
  }
}

/** Opens the history, and makes it if there is none. */
function openToAppend(dir: Dir): OpenFile {
  const open = () => dir.open(HISTORY_FILE, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
  let fd: number
  try {
    fd = open()
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    createFile(dir, HISTORY_FILE)
    fd = open()
  }
  try {
    const stat = statFd(fd)
    // What has another name elsewhere may be another's file, linked here.
    if (isRegularFile(stat) && stat.nlink === 1) return { fd, stat }
    throw new Error(`${dir.displayPath(HISTORY_FILE)} is not a file of this folder only`)
  } catch (error) {
    closeFile(fd)
    throw error
  }
}

/** The end of the file is damaged, or there is nothing in it since a rotation. */
function lastLineFartherBack(dir: Dir, file: OpenFile): LastLine | undefined {
  const lastIn = (one: OpenFile) => lastLine(textOf(readTail(one, ROTATE_AT)))
  return lastIn(file) ?? withRegularFile(dir, OLD_HISTORY_FILE, lastIn)
}

function toAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, unicodeEscape)
}

/** In ASCII, as our lines are: of anything else it matters only that it is no line of ours. */
function textOf(bytes: Buffer): string {
  return bytes.toString('latin1')
}

function lineOf(
  { before, after, reason, fileBefore, fileAfter }: Recorded,
  last: LastLine | undefined,
): HistoryLine {
  const { pid, host, command } = thisProcess()
  // The version alone would do, but for a write in place within one tick of the kernel's clock.
  const follows = before === undefined || (last?.file === fileBefore && last?.to === before.state)
  const fields = before === undefined ? [] : changedFields(before, after)
  return {
    seq: (last?.seq ?? 0) + 1,
    time: new Date().toISOString(),
    from: before?.state ?? null,
    to: after.state,
    ...(fields.length > 0 && { fields }),
    ...(reason !== undefined && { reason }),
    pid,
    host,
    command,
    ...(!follows && { gap: true as const }),
    file: fileAfter,
  }
}
