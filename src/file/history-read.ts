import { lstatSync } from 'node:fs'
import type { HistoryEntry } from '../backend.js'
import { ioError } from '../errno.js'
import { ROTATE_AT } from './history.js'
import { entriesOf } from './history-line.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { closeFile, Dir } from './posix/dir.js'
import { type OpenFile, openRegularFile, readTail } from './posix/regular-file.js'

/** No file of ours is as large. Of one that is larger, by whatever hand, the last part is read. */
const MAX_BYTES = 2 * ROTATE_AT

/** How often to begin again because a rotation came between; they are hundreds of changes apart. */
const ATTEMPTS = 10

/**
 * The recorded changes of a sandbox, oldest first; none when it does not exist or nothing was recorded. Takes no
 * lock and makes nothing. What happened after the last entry and left no line is not told: it may be a change whose
 * line is just being written.
 * @throws StateStoreError `CORRUPT_STATE` when the folder or a history file is a link or of another kind, `IO_ERROR`
 */
export async function* readHistory(root: string, id: string): AsyncGenerator<HistoryEntry> {
  yield* entriesOf(historyText(root, id))
}

function historyText(root: string, id: string): string {
  for (let attempt = 1; ; attempt++) {
    const folder = Dir.open(root, id)
    if (folder === undefined) return ''
    try {
      const text = tryRead(folder, attempt === ATTEMPTS)
      if (text !== undefined) return text
    } catch (error) {
      throw ioError(error, 'read', id, folder.displayPath(HISTORY_FILE))
    } finally {
      folder.close()
    }
  }
}

/**
 * Both files as they were at one time: the newer one, held open, is still the newer one after the older was read.
 * @param anyway whether to return the newer one by itself when it is not
 * @returns undefined when a rotation or a deletion came between
 */
function tryRead(folder: Dir, anyway: boolean): string | undefined {
  const file = openRegularFile(folder, HISTORY_FILE)
  try {
    const recent = file === undefined ? '' : readText(file)
    const older = readOld(folder)
    const there = lstatSync(folder.procPath(HISTORY_FILE), { throwIfNoEntry: false })
    if (there?.ino === file?.stat.ino) return `${older}\n${recent}`.trim()
    return anyway ? recent : undefined
  } finally {
    if (file !== undefined) closeFile(file.fd)
  }
}

function readOld(folder: Dir): string {
  const file = openRegularFile(folder, OLD_HISTORY_FILE)
  if (file === undefined) return ''
  try {
    return readText(file)
  } finally {
    closeFile(file.fd)
  }
}

/** Of a file that is too large, the first line of what is read is not whole. */
function readText({ fd, stat }: OpenFile): string {
  const text = readTail(fd, stat.size, MAX_BYTES).toString('utf8')
  return stat.size > MAX_BYTES ? text.slice(text.indexOf('\n') + 1) : text
}
