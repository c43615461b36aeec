import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import type { FileStat } from '../posix/file-stat.js'

/** A flock(2) as the kernel lists it: held, or waited for by a process that is blocked in the call. */
export interface KernelLock {
  readonly isWaiter: boolean
  readonly isShared: boolean
  /** 0 or less when it cannot be known. */
  readonly pid: number
  readonly inode: string
}

/** From lines such as `1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF` (proc_locks(5)). */
const LINE = /^\d+: (-> )?FLOCK +\S+ +(READ|WRITE) +(-?\d+) +[^:\s]+:[^:\s]+:(\d+) /gm

/** Every flock(2) that the kernel lists; empty where it does not tell (macOS, no /proc). */
export function kernelLocks(): KernelLock[] {
  let text: string
  try {
    text = readFileSync('/proc/locks', 'latin1')
  } catch {
    return []
  }
  return Array.from(text.matchAll(LINE), ([, waiter, mode, pid, inode = '']) => ({
    isWaiter: waiter !== undefined,
    isShared: mode === 'READ',
    pid: Number(pid),
    inode,
  }))
}

/** The first pid namespace of a Linux system has this name: from there every process is seen. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]'

let seesAll: boolean | undefined

/** Whether {@link kernelLocks} lists the locks of all processes of this host: in a container it leaves out those outside. */
export function seesAllKernelLocks(): boolean {
  if (seesAll === undefined) {
    try {
      seesAll =
        readlinkSync('/proc/self/ns/pid') === FIRST_PID_NAMESPACE && readFileSync('/proc/locks') !== undefined
    } catch {
      seesAll = false
    }
  }
  return seesAll
}

/** Whether a process may have a file open. Inodes of two filesystems can have one number, and on btrfs their devices do not tell. */
export function mayHaveOpen(pid: number, file: Pick<FileStat, 'ino' | 'dev'>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false })
      return open?.ino === file.ino && open.dev === file.dev
    })
  } catch {
    return true // Another user's process, which we may not look into.
  }
}
