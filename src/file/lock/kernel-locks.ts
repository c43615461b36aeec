import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { readProc } from '../../process-identity.js'
import type { FileStat } from '../posix/file-stat.js'

/** The flock(2) locks on one file, as the kernel lists them. */
interface KernelLock {
  /** The processes that hold the lock; 0 for an unknown one. */
  readonly pids: number[]
  /** Whether a process is blocked in flock(2), waiting for it. */
  isAwaited: boolean
}

/** By inode number, which files on different filesystems may share. */
export type KernelLocks = ReadonlyMap<number, KernelLock>

/** From lines such as `1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF` (proc_locks(5)). */
const LINE = /^\d+: (-> )?FLOCK +\S+ +\S+ +(-?\d+) +[^:\s]+:[^:\s]+:(\d+) /gm

/** Every flock(2) lock that the kernel lists; empty where it lists none (macOS, no /proc). */
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

/** The process that holds a flock(2) lock on a file, 0 for an unknown one; undefined if the kernel lists no lock on it. */
export function kernelHolder(file: FileStat, locks: KernelLocks): number | undefined {
  return locks.get(file.ino)?.pids.find(pid => mayHaveOpen(pid, file))
}

/** The name of the initial pid namespace of a Linux system, which sees every process. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]'

/** Whether {@link kernelLocks} lists the locks of all processes of this host: in a container it omits those outside. */
export function seesAllKernelLocks(): boolean {
  try {
    return readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE && existsSync('/proc/locks')
  } catch {
    return false
  }
}

/** Whether a process may have a file open: inode numbers alone are ambiguous, and on btrfs the listed device does not help. */
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
