import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { readProc } from '../../process-identity.js'
import type { FileStat } from '../posix/file-stat.js'

/** Who locks a file with flock(2), as the kernel lists it. */
interface KernelLock {
  /** The processes that hold the lock; 0 for one that cannot be known. */
  readonly pids: number[]
  /** Whether another is blocked in the call. */
  isAwaited: boolean
}

/** By the inode's number, which files of several filesystems can share. */
export type KernelLocks = ReadonlyMap<number, KernelLock>

/** From lines such as `1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF` (proc_locks(5)). */
const LINE = /^\d+: (-> )?FLOCK +\S+ +\S+ +(-?\d+) +[^:\s]+:[^:\s]+:(\d+) /gm

/** Every flock(2) that the kernel lists; empty where it does not tell (macOS, no /proc). */
export function kernelLocks(): KernelLocks {
  const locks = new Map<number, KernelLock>()
  for (const [, waiter, pid, inode] of readProc('locks').matchAll(LINE)) {
    const lock = locks.get(Number(inode)) ?? { pids: [], isAwaited: false }
    locks.set(Number(inode), lock)
    if (waiter === undefined) lock.pids.push(Math.max(Number(pid), 0))
    else lock.isAwaited = true
  }
  return locks
}

/** The process that holds a flock(2) on a file, 0 if it cannot be known which; undefined if the kernel lists none. */
export function kernelHolder(file: FileStat, locks: KernelLocks): number | undefined {
  return locks.get(file.ino)?.pids.find(pid => mayHaveOpen(pid, file))
}

/** The first pid namespace of a Linux system has this name: from there every process is seen. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]'

/** Whether {@link kernelLocks} lists the locks of all processes of this host: in a container it leaves out those outside. */
export function seesAllKernelLocks(): boolean {
  try {
    return readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE && existsSync('/proc/locks')
  } catch {
    return false
  }
}

/** Whether a process may have a file open. Inodes of two filesystems can have one number, and on btrfs their devices do not tell. */
function mayHaveOpen(pid: number, file: FileStat): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false })
      return open?.ino === file.ino && open.dev === file.dev
    })
  } catch {
    return true // Another user's process, which we may not look into.
  }
}
