import { closeSync, fstatSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import * as z from 'zod'
import type { LockHolder } from '../../backend.js'
import { commandOfPid, isAlive } from '../../process-identity.js'
import type { Dir } from '../posix/dir.js'
import { stateLockTime } from './dot-lock.js'
import { type HolderRecord, readRecord } from './holder-record.js'
import { openLockToRead } from './lock-file.js'

const Record = z.object({
  held: z.boolean(),
  pid: z.int().positive(),
  start: z.string(),
  boot: z.string(),
  host: z.string(),
  command: z.string(),
  since: z.iso.datetime(),
})

/** Who holds one of a sandbox's locks; the caller knows that somebody does. */
export function findHolder(folder: Dir, lock: LockHolder['lock']): LockHolder {
  if (lock === 'flock') return flockHolder(folder) ?? { lock }
  const refreshed = stateLockTime(folder)
  return refreshed === undefined ? { lock } : { lock, since: refreshed.toISOString() }
}

/** {@link findHolder} in words. */
export function describeHolder(folder: Dir, lock: LockHolder['lock']): string {
  const { pid, host, command, since } = findHolder(folder, lock)
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

/** Of us, the `lock` file tells; of Kata and flock(1), the kernel. */
function flockHolder(folder: Dir): LockHolder | undefined {
  let fd: number
  try {
    fd = openLockToRead(folder)
  } catch {
    return undefined
  }
  try {
    const record = parseRecord(readRecord(fd))
    if (record?.held === true && isAlive(record) !== false) {
      return {
        pid: record.pid,
        host: record.host,
        command: record.command,
        since: record.since,
        lock: 'flock',
      }
    }
    return kernelHolder(fstatSync(fd))
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

function parseRecord(text: string): HolderRecord | undefined {
  try {
    return Record.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** From lines such as `1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF` (proc_locks(5)). */
function kernelHolder(file: Stats): LockHolder | undefined {
  const inode = String(file.ino)
  for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
    const [, kind, , , owner, place] = line.split(/\s+/)
    const pid = Number(owner)
    if (kind !== 'FLOCK' || place?.split(':')[2] !== inode || pid <= 0 || !mayHaveOpen(pid, file)) continue
    const command = commandOfPid(pid)
    return { pid, lock: 'flock', ...(command === undefined ? {} : { command }) }
  }
  return undefined
}

/** The number of an inode alone could be another filesystem's, and its device differs from stat's on some (btrfs). */
function mayHaveOpen(pid: number, file: Stats): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(fd => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { throwIfNoEntry: false })
      return open?.ino === file.ino && open.dev === file.dev
    })
  } catch {
    return true // Another user's process, which we may not look into.
  }
}
