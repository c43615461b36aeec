import { fstatSync, type Stats } from 'node:fs'
import type { LockHolder } from '../../backend.js'
import { commandOfPid, isAlive } from '../../process-identity.js'
import type { Dir } from '../posix/dir.js'
import { unlockAndClose } from '../posix/flock.js'
import { foreignLockTime } from './dot-lock.js'
import { readHolderRecord } from './holder-record.js'
import { kernelLocks, mayHaveOpen } from './kernel-locks.js'
import { openLockToRead } from './sandbox-lock.js'

/** Who holds one of a sandbox's locks; the caller knows that somebody does. */
export function findHolder(dir: Dir, lock: LockHolder['lock']): LockHolder {
  try {
    if (lock === 'flock') return flockHolder(dir)
    const refreshed = foreignLockTime(dir)
    return refreshed === undefined ? { lock } : { lock, since: refreshed.toISOString() }
  } catch {
    return { lock }
  }
}

/** {@link findHolder} in words. */
export function describeHolder(dir: Dir, lock: LockHolder['lock']): string {
  const { pid, host, command, since } = findHolder(dir, lock)
  if (lock === 'proper-lockfile') {
    return `another program's proper-lockfile lock on state.json, last refreshed at ${since ?? 'an unknown time'}`
  }
  if (pid === undefined) return 'an unknown process'
  const words = [`pid ${pid}`]
  if (command !== undefined) words.push(`(${command})`)
  if (host !== undefined) words.push(`on ${host}`)
  if (since !== undefined) words.push(`since ${since}`)
  return words.join(' ')
}

/** Our own processes note it in the `lock` file; of Kata and flock(1) the kernel knows. */
function flockHolder(dir: Dir): LockHolder {
  const fd = openLockToRead(dir)
  try {
    const record = readHolderRecord(fd)
    if (record?.held !== true || isAlive(record) === false) return kernelHolder(fstatSync(fd))
    const { pid, host, command, since } = record
    return { pid, host, command, since, lock: 'flock' }
  } finally {
    unlockAndClose(fd)
  }
}

function kernelHolder(file: Stats): LockHolder {
  const isHolder = (lock: { isWaiter: boolean; pid: number; inode: string }) =>
    !lock.isWaiter && lock.inode === String(file.ino) && lock.pid > 0 && mayHaveOpen(lock.pid, file)
  const pid = kernelLocks().find(isHolder)?.pid
  const command = pid === undefined ? undefined : commandOfPid(pid)
  return { lock: 'flock', ...(pid && { pid }), ...(command !== undefined && { command }) }
}
