import { constants } from 'node:fs'
import { isErrno } from '../errno.js'
import { thisProcess } from '../process-identity.js'
import { changedFields } from '../state/fields.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { type HistoryLine, type LastLine, lastLine } from './history-line.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { createFile } from './posix/create-file.js'
import { closeFile, type Dir, removeFile } from './posix/dir.js'
import { writeAll } from './posix/file-io.js'
import { isRegularFile, statFd } from './posix/file-stat.js'
import { openRegularFile, readTail } from './posix/regular-file.js'

const { O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants

/** A history file grows to this many bytes; then it becomes the old one, and the old one goes. */
export const ROTATE_AT = 64 * 1024

/** Room for the last line, as long as it is whole and one of ours: no such line is longer. */
const TAIL = 1024

/** A change, as far as its history line tells of it. */
export interface Recorded {
  readonly before: SandboxState | undefined
  readonly after: SandboxState
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
  const { fd, size } = openToAppend(dir)
  try {
    const tail = tailOf(fd, size, TAIL)
    const last = change.before && (lastLine(tail) ?? lastLineFartherBack(dir, fd, size))
    const line = JSON.stringify(lineOf(change, last))
    if (size + line.length > ROTATE_AT) {
      dir.rename(HISTORY_FILE, OLD_HISTORY_FILE)
      appendFirst(dir, line)
    } else {
      // A line that a kill or a full disk cut short stays by itself.
      const torn = tail !== '' && !tail.endsWith('\n')
      writeAll(fd, Buffer.from(`${torn ? '\n' : ''}${line}\n`))
    }
  } finally {
    closeFile(fd)
  }
}

function appendFirst(dir: Dir, line: string): void {
  const { fd } = openToAppend(dir)
  try {
    writeAll(fd, Buffer.from(`${line}\n`))
  } finally {
    closeFile(fd)
  }
}

/** Opens the history, and makes it if there is none. */
function openToAppend(dir: Dir): { fd: number; size: number } {
  const fd = openIfThere(dir) ?? makeAndOpen(dir)
  try {
    const stat = statFd(fd)
    // What has another name elsewhere may be another's file, linked here.
    if (isRegularFile(stat) && stat.nlink === 1) return { fd, size: stat.size }
    throw new Error(`${dir.displayPath(HISTORY_FILE)} is not a file of this folder only`)
  } catch (error) {
    closeFile(fd)
    throw error
  }
}

function openIfThere(dir: Dir): number | undefined {
  try {
    return dir.open(HISTORY_FILE, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

function makeAndOpen(dir: Dir): number {
  createFile(dir, HISTORY_FILE)
  return dir.open(HISTORY_FILE, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK)
}

/** In ASCII, as our lines are: of anything else it matters only that it is no line of ours. */
function tailOf(fd: number, size: number, limit: number): string {
  return readTail(fd, size, limit).toString('latin1')
}

/** The end of the file is damaged, or there is nothing in it since a rotation was cut short. */
function lastLineFartherBack(dir: Dir, fd: number, size: number): LastLine | undefined {
  const inThis = lastLine(tailOf(fd, size, ROTATE_AT))
  if (inThis !== undefined) return inThis
  const old = openRegularFile(dir, OLD_HISTORY_FILE)
  if (old === undefined) return undefined
  try {
    return lastLine(tailOf(old.fd, old.stat.size, ROTATE_AT))
  } finally {
    closeFile(old.fd)
  }
}

function lineOf({ before, after, fileBefore, fileAfter }: Recorded, last: LastLine | undefined): HistoryLine {
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
    pid,
    host,
    command,
    ...(!follows && { gap: true as const }),
    file: fileAfter,
  }
}
