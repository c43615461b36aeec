import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { until } from '../support/wait.js'

/** Whether the system tells which files a process has open. */
export const tellsOpenFiles = existsSync('/proc/self/fd')

/** Waits until a process has a file open: a path, or the kernel's own name for it such as `anon_inode:inotify`. */
export async function untilOpen(pid: number | undefined, file: string): Promise<void> {
  await until(`${pid} has opened ${file}`, () => openFiles(pid).includes(file))
}

function openFiles(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return [] // It is closed by now.
    }
  })
}
