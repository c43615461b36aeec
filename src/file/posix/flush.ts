import { fsync } from 'node:fs'
import { promisify } from 'node:util'
import { statFd } from './file-stat.js'

const fsyncAsync = promisify(fsync)

/**
 * fsync(2) in Node's pool, then statx(2): an XFS that has shut down reports that folders are flushed, but cannot stat them.
 * @throws the system's error
 */
export async function flush(fd: number): Promise<void> {
  await fsyncAsync(fd)
  statFd(fd)
}
