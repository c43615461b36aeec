import type { HistoryEntry } from '../backend.js'
import { ioError } from '../errno.js'
import { ROTATE_AT } from './history.js'
import { entriesOf } from './history-line.js'
import { HISTORY_FILE, OLD_HISTORY_FILE } from './layout.js'
import { Dir } from './posix/dir.js'
import { type OpenFile, readTail, withRegularFile } from './posix/regular-file.js'
import { versionOf } from './state-file.js'

/** Our files are smaller than this. If another program enlarged one, only its end is read. */
const MAX_BYTES = 2 * ROTATE_AT

/** How often to start again because of a rotation in between; rotations are hundreds of changes apart. */
const ATTEMPTS = 10

/**
 * The recorded changes of a sandbox, oldest first; empty when it does not exist or nothing was recorded. Takes no lock and
 * creates nothing. A gap after the last entry is not reported: it may be a change whose line is just being written.
 * @throws StateStoreError `CORRUPT_STATE` when the folder is a link, or a history file not a regular file; `IO_ERROR`
 */
export function readHistory(root: string, id: string): HistoryEntry[] {
  for (let attempt = 1; ; attempt++) {
    const folder = Dir.open(root, id)
    if (folder === undefined) return []
    try {
      const older = withRegularFile(folder, OLD_HISTORY_FILE, readText)
      const recent = withRegularFile(folder, HISTORY_FILE, readText)
      const old = folder.stat(OLD_HISTORY_FILE)
      // A rotation or a deletion may have come between.
      const isOneTime = older?.version === (old && versionOf(old))
      if (isOneTime || attempt === ATTEMPTS) return entriesOf(`${older?.text ?? ''}\n${recent?.text ?? ''}`)
    } catch (error) {
      throw ioError(error, 'read', id, folder.displayPath(HISTORY_FILE))
    } finally {
      folder.close()
    }
  }
}

/** If the file is too large, its end is read, without the line that begins before that. */
function readText(file: OpenFile): { readonly text: string; readonly version: string } {
  const { stat } = file
  const text = readTail(file, MAX_BYTES).toString('utf8')
  const isWhole = stat.size <= MAX_BYTES
  return { text: isWhole ? text : text.slice(text.indexOf('\n') + 1), version: versionOf(stat) }
}
