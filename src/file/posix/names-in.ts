import { opendirSync } from 'node:fs'
import { ioError, isErrno } from '../../errno.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/**
 * The names in a folder, in its own order, few at a time in memory however many there are. A folder that does not
 * exist has none.
 * @throws StateStoreError `IO_ERROR`
 */
export async function* namesIn(path: string): AsyncGenerator<string, void, undefined> {
  const entries = listing(path, () => opendirSync(path, { bufferSize: 256 }))
  if (entries === undefined) return
  try {
    for (;;) {
      const entry = listing(path, () => entries.readSync())
      if (!entry) return
      yield entry.name
      if (sliceExpired()) await yieldToEventLoop()
    }
  } finally {
    entries.closeSync()
  }
}

/** @returns undefined when the folder does not exist, or no more */
function listing<T>(path: string, call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'list', undefined, path)
  }
}
