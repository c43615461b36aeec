import { onAbort } from '../abort.js'
import { ioError, isErrno } from '../errno.js'
import { OWNER_FILE } from './layout.js'
import { LOOKS_PER_SECOND, lookOften } from './lock/look-often.js'
import { openLockToRead } from './lock/sandbox-lock.js'
import { Dir, statPath } from './posix/dir.js'
import { isSameFile, statFd } from './posix/file-stat.js'
import { LOCK_SH, tryFlock, unlock, unlockAndClose } from './posix/flock.js'

/**
 * Waits until nobody holds a sandbox's `owner` file, or it was replaced or deleted.
 * @throws the signal's reason; StateStoreError `CORRUPT_STATE` `IO_ERROR`
 */
export async function untilUnowned(root: string, id: string, signal: AbortSignal | undefined): Promise<void> {
  const path = `${root}/${id}/${OWNER_FILE}`
  const fd = openOwner(root, id, path)
  if (fd === undefined) return
  let stopLooking: (() => void) | undefined
  let unsubscribe: (() => void) | undefined
  try {
    const stat = statFd(fd)
    await new Promise<void>((resolve, reject) => {
      const look = (count: number) => {
        try {
          const isReplaced = () => count % LOOKS_PER_SECOND === 0 && !isSameFile(statPath(path), stat)
          if (isFree(fd) || isReplaced()) resolve()
        } catch (error) {
          reject(error)
        }
      }
      stopLooking = lookOften(look, true)
      unsubscribe = signal && onAbort(signal, () => reject(signal.reason))
      look(1)
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw ioError(error, 'lock', id, path)
  } finally {
    stopLooking?.()
    unsubscribe?.()
    unlockAndClose(fd)
  }
}

function openOwner(root: string, id: string, path: string): number | undefined {
  const dir = Dir.open(root, id)
  try {
    return dir && openLockToRead(dir, OWNER_FILE)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw ioError(error, 'open', id, path)
  } finally {
    dir?.close()
  }
}

function isFree(fd: number): boolean {
  if (!tryFlock(fd, LOCK_SH)) return false
  unlock(fd)
  return true
}
