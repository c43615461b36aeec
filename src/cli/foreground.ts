import { closeSync, openSync } from 'node:fs'
import { koffi } from '../koffi.js'

/** Whether this process is in the foreground of its terminal, which then sends signals to all of its process group. */
export function isInForeground(): boolean {
  let terminal: number
  try {
    terminal = openSync('/dev/tty', 'r')
  } catch {
    return false
  }
  try {
    const libc = koffi.load(null)
    return libc.func('int tcgetpgrp(int fd)')(terminal) === libc.func('int getpgrp()')()
  } finally {
    closeSync(terminal)
  }
}
