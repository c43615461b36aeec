import { opendirSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/**
 * The names in a folder, in its own order, with few in memory at a time. Empty for a folder that does not exist.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* namesIn(path: string): AsyncGenerator<string, void, undefined> {
  try {
    const entries = opendirSync(path, { bufferSize: 256 })
    try {
      for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
        yield entry.name
        if (sliceExpired()) await yieldToEventLoop()
      }
    } finally {
      entries.closeSync()
    }
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw ioError(error, 'list', undefined, path)
  }
}
