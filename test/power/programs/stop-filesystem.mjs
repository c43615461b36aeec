import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'

/** `_IOR('X', 125, __u32)` of linux/fs.h, once XFS's own. */
const FS_IOC_SHUTDOWN = 0x8004587d
/** Neither data nor log is flushed. */
const NO_LOG_FLUSH = 2

const ioctl = koffi.load(null).func('int ioctl(int fd, unsigned long request, uint32_t *flags)')

/**
 * Stops a filesystem at once: what it has not yet written stays unwritten, its log included, and later calls fail.
 * @param {string} mountPoint
 */
export function stopFilesystem(mountPoint) {
  const fd = openSync(mountPoint, 'r')
  try {
    if (ioctl(fd, FS_IOC_SHUTDOWN, [NO_LOG_FLUSH]) !== 0) {
      throw new Error(`FS_IOC_SHUTDOWN of ${mountPoint}: errno ${koffi.errno()}`)
    }
  } finally {
    closeSync(fd)
  }
}
