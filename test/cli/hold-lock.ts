import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { LOCK_EX, tryFlock } from '#src/file/posix/flock.js'
import type { Root } from './support.js'

/** Holds a sandbox's lock, as flock(1) or Kata would, until it is disposed of. */
export function holdLock(root: Root, id: string): Disposable {
  const fd = openSync(join(root.path, id, 'lock'), 'r+')
  if (!tryFlock(fd, LOCK_EX)) throw new Error('somebody else holds the lock')
  return { [Symbol.dispose]: () => closeSync(fd) }
}
