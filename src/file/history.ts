import { constants } from 'node:fs'
import { recordOfChange } from '../recorded-change.js'
import { unicodeEscape } from '../state/go-text.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { type HistoryLine, type LastLine, lastLine } from './history-line.js'
import { HISTORY_FILE, HISTORY_FILES, OLD_HISTORY_FILE } from './layout.js'
import { createFile } from './posix/create-file.js'
import type { Dir } from './posix/dir.js'
import { writeAll } from './posix/file-io.js'
import { type OpenFile, readTail, withRegularFile } from './posix/regular-file.js'
import { type StateFile, versionOf } from './state-file.js'

const { O_RDWR, O_APPEND } = constants

/** A history file grows to this many bytes; then it replaces the old history file. */
export const ROTATE_AT = 64 * 1024

/** Nearly always enough for the last line, in bytes. For a longer one, with a long reason, the whole file is read. */
const TAIL = 1024

/** The content of a change's line. */
export interface Recorded {
  /** Undefined for a create. */
  readonly before: StateFile | undefined
  readonly after: SandboxState
  readonly reason: string | undefined
  /** The version of the state file after the change. */
  readonly fileAfter: string
}

/**
 * Appends a change's line. A history that cannot be written does not fail the change, which is made by now: the next line
 * will have a `gap`, as the state file is not the one that the last line names.
 */
export function appendHistory(dir: Dir, change: Recorded): void {
  try {
    if (tryAppend(dir, change)) return
    createFile(dir, HISTORY_FILE)
    tryAppend(dir, change)
  } catch {
    // See above.
  }
}

/** Failures do not matter: lines before the line of a create do not belong to the sandbox. */
export function removeHistory(dir: Dir): void {
  for (const name of HISTORY_FILES) {
    try {
      dir.unlinkIfFile(name)
    } catch {
      // See above.
    }
  }
}

/** @returns undefined when there is no history file, or it was full and was renamed */
function tryAppend(dir: Dir, change: Recorded): true | undefined {
  const append = (file: OpenFile) => {
    const { fd, stat } = file
    if (stat.nlink > 1) return true // It may be another program's file, linked here.
    const tail = readTail(file, TAIL).toString('latin1') // Our lines are ASCII.
    const last = change.before && (lastLine(tail) ?? lastLineFartherBack(dir, file))
    const line = toAscii(JSON.stringify(lineOf(change, last)))
    if (stat.size + line.length > ROTATE_AT) {
      dir.rename(HISTORY_FILE, OLD_HISTORY_FILE)
      return undefined
    }
    // A line that was cut short, by a kill or a full disk, stays on its own.
    const torn = tail !== '' && !tail.endsWith('\n')
    writeAll(fd, Buffer.from(`${torn ? '\n' : ''}${line}\n`))
    return true
  }
  return withRegularFile(dir, HISTORY_FILE, append, O_RDWR | O_APPEND)
}

/** For when the end of the file is damaged, or the file is empty since a rotation. */
function lastLineFartherBack(dir: Dir, file: OpenFile): LastLine | undefined {
  const lastIn = (one: OpenFile) => lastLine(readTail(one, ROTATE_AT).toString('latin1'))
  return lastIn(file) ?? withRegularFile(dir, OLD_HISTORY_FILE, lastIn)
}

function toAscii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, unicodeEscape)
}

function lineOf(
  { before: file, after, reason, fileAfter }: Recorded,
  last: LastLine | undefined,
): HistoryLine {
  // The version alone would suffice, except after a write in place within one tick of the kernel's clock.
  const follows = file === undefined || (last?.file === versionOf(file.stat) && last.to === file.state.state)
  return {
    seq: (last?.seq ?? 0) + 1,
    ...recordOfChange(file?.state, after, reason),
    ...(!follows && { gap: true as const }),
    file: fileAfter,
  }
}
