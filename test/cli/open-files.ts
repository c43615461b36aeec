import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { PATIENCE } from '../support/wait.js'

/** Whether the system tells which files a process has open. */
export const tellsOpenFiles = existsSync('/proc/self/fd')

/**
 * Waits until a process has a file open: a path, or the kernel's own name for it such as `anon_inode:inotify`. Looks
 * without a pause, because a process that waits for a lock has it open only during each attempt.
 */
export async function untilOpen(pid: number | undefined, file: string): Promise<void> {
  const end = performance.now() + PATIENCE
  while (!openFiles(pid).includes(file)) {
    if (performance.now() > end) throw new Error(`${pid} never opened ${file}`)
    await nextTurn()
  }
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
