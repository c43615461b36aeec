import { opendirSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/**
 * The names in a folder, in its own order, few at a time in memory however many there are. A folder that does not
 * exist has none.
 * @param shown its path for messages
 * @throws StateStoreError `IO_ERROR`
 */
export async function* namesIn(path: string, shown = path): AsyncGenerator<string, void, undefined> {
  const entries = open(path, shown)
  if (entries === undefined) return
  try {
    for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
      yield entry.name
      if (sliceExpired()) await yieldToEventLoop()
    }
  } finally {
    entries.closeSync()
  }
}

function open(path: string, shown: string) {
  try {
    return opendirSync(path, { bufferSize: 256 })
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'list', undefined, shown)
  }
}
