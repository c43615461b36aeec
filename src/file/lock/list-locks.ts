import { closeSync, fstatSync, readFileSync } from 'node:fs'
import type { HeldLock, LockHolder } from '../../backend.js'
import { Dir } from '../posix/dir.js'
import { LOCK_EX, LOCK_SH, tryFlock } from '../posix/flock.js'
import { listIds } from '../read.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'
import { strangersLockTime } from './dot-lock.js'
import { findHolder } from './holder.js'
import { openLockToRead } from './lock-file.js'

/**
 * Every lock that is held now on a sandbox below a root, by us, Kata, flock(1) or a program with proper-lockfile,
 * sorted by id; a sandbox can be locked in both ways at once. Makes and changes nothing. To know whether a lock is
 * free it is taken, shared and for some microseconds: a change that comes just then asks again a millisecond later.
 * @param id only this sandbox's, which need not exist
 * @throws StateStoreError `IO_ERROR` when the root cannot be read
 */
export async function* listLocks(root: string, id?: string): AsyncGenerator<HeldLock, void, undefined> {
  let shared = sharedLocks()
  for (const one of id === undefined ? listIds(root) : [id]) {
    for (const holder of holdersOf(root, one, shared)) yield { id: one, holder }
    if (!sliceExpired()) continue
    await yieldToEventLoop()
    shared = sharedLocks()
  }
}

function holdersOf(root: string, id: string, shared: ReadonlySet<string>): LockHolder[] {
  const folder = openFolder(root, id)
  if (folder === undefined) return []
  try {
    const refreshed = strangersLockTime(folder)
    const stranger: LockHolder[] =
      refreshed === undefined ? [] : [{ lock: 'proper-lockfile', since: refreshed.toISOString() }]
    return [...flockHolders(folder, shared), ...stranger]
  } finally {
    folder.close()
  }
}

function openFolder(root: string, id: string): Dir | undefined {
  try {
    return Dir.open(root, id)
  } catch {
    return undefined // What cannot be opened, a listing of states tells.
  }
}

function flockHolders(folder: Dir, shared: ReadonlySet<string>): LockHolder[] {
  if (!isFlocked(folder, shared)) return []
  const holder = findHolder(folder, 'flock')
  // One whom nobody knows may have gone in the meantime.
  return holder.pid !== undefined || isFlocked(folder, shared) ? [holder] : []
}

function isFlocked(folder: Dir, shared: ReadonlySet<string>): boolean {
  let fd: number
  try {
    fd = openLockToRead(folder)
  } catch {
    return false
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return false
    if (!tryFlock(fd, LOCK_SH)) return true
    return shared.has(String(stat.ino)) && !tryFlock(fd, LOCK_EX)
  } catch {
    return false // A filesystem without flock(2).
  } finally {
    closeSync(fd)
  }
}

/**
 * The inodes that are locked in shared mode, as Kata's readers do: beside these, our own shared lock would be
 * granted. From lines such as `1: FLOCK  ADVISORY  READ 4711 fe:00:131 0 EOF` (proc_locks(5)).
 */
function sharedLocks(): Set<string> {
  try {
    const lines = readFileSync('/proc/locks', 'latin1').matchAll(/ FLOCK +\S+ +READ +\d+ +\S+:\S+:(\d+) /g)
    return new Set([...lines].map(([, inode = '']) => inode))
  } catch {
    return new Set()
  }
}
