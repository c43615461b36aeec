import type { ChildProcess } from 'node:child_process'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { until } from '../support/wait.js'

/**
 * Changes a sandbox as a program would that knows only proper-lockfile and takes our lock for stale, because its clock
 * is ahead or because we did not refresh the lock for 10 s.
 */
export async function changeAsForeignProgram(root: string, id: string, add: number): Promise<void> {
  const file = join(root, id, 'state.json')
  const longAgo = new Date(Date.now() - 60_000)
  utimesSync(`${file}.lock`, longAgo, longAgo)
  const release = await lockfile.lock(file)
  const state = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...state, blockIndex: (state.blockIndex ?? 0) + add }))
  await release()
}

/** Whether a change of a sandbox has written its new state, and not yet renamed it. */
export function isBeforeRename(root: string, id: string): boolean {
  try {
    return statSync(join(root, id, '.state.json.tmp')).size > 0
  } catch {
    return false // It is not there yet, or was renamed just now.
  }
}

/** Continues a program that stops itself. (A SIGCONT before it does so would be lost.) */
export async function resume({ pid }: ChildProcess): Promise<void> {
  await until('the program is stopped', () => /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')))
  process.kill(Number(pid), 'SIGCONT')
}
