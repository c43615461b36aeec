import type { LockHolder } from '../../backend.js'
import { describeProcess, processOf } from '../../owner.js'
import { commandOfPid, isAlive, isInOtherPidNamespace } from '../../process-identity.js'
import { DOT_LOCK } from '../layout.js'
import type { Dir } from '../posix/dir.js'
import { modifiedAt, statFd } from '../posix/file-stat.js'
import { unlockAndClose } from '../posix/flock.js'
import { isDead } from './dot-lock.js'
import { readHolderRecord } from './holder-record.js'
import { kernelHolder, kernelLocks } from './kernel-locks.js'
import { openLockToRead } from './sandbox-lock.js'

/** Who holds one of a sandbox's locks; the caller knows that somebody does. */
export function findHolder(dir: Dir, lock: LockHolder['lock']): LockHolder {
  try {
    return (lock === 'flock' ? flockHolder(dir) : foreignHolder(dir)) ?? { lock }
  } catch {
    return { lock }
  }
}

/** A holder in words. */
export function describeHolder(holder: LockHolder): string {
  if (holder.lock === 'flock') return describeProcess(holder)
  return `another program's proper-lockfile lock on state.json, last refreshed at ${holder.since ?? 'an unknown time'}`
}

/** Our own processes are recorded in the `lock` file; for Kata and flock(1), the kernel lists the pid. */
function flockHolder(dir: Dir): LockHolder {
  const lock = 'flock'
  const fd = openLockToRead(dir)
  try {
    const record = readHolderRecord(fd)
    const isOurs = record?.held === true && isAlive(record) !== false
    if (isOurs && !isInOtherPidNamespace(record)) {
      return { ...processOf(record), lock }
    }
    const pid = kernelHolder(statFd(fd), kernelLocks())
    if (pid) {
      const command = commandOfPid(pid)
      return { lock, pid, ...(command && { command }) }
    }
    return isOurs ? { ...processOf(record), lock } : { lock }
  } finally {
    unlockAndClose(fd)
  }
}

/** The holder of another program's dot-lock that is in force, not a stale one. @throws the system's error */
export function foreignHolder(dir: Dir): LockHolder | undefined {
  const stat = dir.stat(DOT_LOCK)
  if (stat === undefined || isDead(stat)) return undefined
  return { lock: 'proper-lockfile', since: modifiedAt(stat) }
}
