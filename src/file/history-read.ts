import { fstatSync, lstatSync } from 'node:fs'
import type { HistoryEntry } from '../backend.js'
import { ioError } from '../errno.js'
import { closeFile, SandboxFolder } from './folder.js'
import { openToRead, ROTATE_AT, readTail } from './history-file.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'

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
  const text = historyText(root, id)
  if (text === '') return
  const { entriesOf } = await import('./history-line.js')
  yield* entriesOf(text)
}

function historyText(root: string, id: string): string {
  for (let attempt = 1; ; attempt++) {
    const folder = SandboxFolder.open(root, id)
    if (folder === undefined) return ''
    try {
      const text = tryRead(folder, attempt === ATTEMPTS)
      if (text !== undefined) return text
    } catch (error) {
      throw ioError(error, 'read', id, folder.show(HISTORY_FILE))
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
function tryRead(folder: SandboxFolder, anyway: boolean): string | undefined {
  const fd = openToRead(folder, HISTORY_FILE)
  try {
    const recent = fd === undefined ? '' : readText(fd)
    const older = readOld(folder)
    const there = lstatSync(folder.at(HISTORY_FILE), { throwIfNoEntry: false })
    if (there?.ino === (fd === undefined ? undefined : fstatSync(fd).ino)) return `${older}\n${recent}`.trim()
    return anyway ? recent : undefined
  } finally {
    if (fd !== undefined) closeFile(fd)
  }
}

function readOld(folder: SandboxFolder): string {
  const fd = openToRead(folder, OLD_HISTORY_FILE)
  if (fd === undefined) return ''
  try {
    return readText(fd)
  } finally {
    closeFile(fd)
  }
}

/** Of a file that is too large, the first line of what is read is not whole. */
function readText(fd: number): string {
  const stat = fstatSync(fd)
  const text = readTail(fd, stat, MAX_BYTES).toString('utf8')
  return stat.size > MAX_BYTES ? text.slice(text.indexOf('\n') + 1) : text
}
