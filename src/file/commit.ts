import { closeSync, constants, fstatSync, openSync, readdirSync, rmdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { alreadyExists, type Change, existsInAnotherFormat } from '../change.js'
import { ioError, isErrno } from '../errno.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { flush } from './flush.js'
import { appendHistory, removeHistory } from './history.js'
import {
  HISTORY_FILE,
  isTemporaryFile,
  LOCK_FILE,
  OLD_HISTORY_FILE,
  PERSIST_FILE,
  STATE_FILE,
  STATE_LOCK,
} from './layout.js'
import { lockState, type StateLock } from './lock/dot-lock.js'
import { noteHolder, noteRelease } from './lock/holder-record.js'
import type { LockedSandbox } from './lock/sandbox-lock.js'
import { type Dir, removeFile } from './posix/dir.js'
import { replaceStateFile, syncFolder } from './replace.js'
import { isUnreadable, readStateFile, type StateFile } from './state-file.js'

export interface ChangeOptions {
  /** Whether to wait for the disk. */
  readonly durable: boolean
  readonly history: boolean
}

/** Another program holds its proper-lockfile lock on the state file. */
export const BUSY = 'busy'

/** The rules of a change, over a state: see `applyChange`. */
export type Apply = (
  current: SandboxState | undefined,
) => SandboxState | undefined | Promise<SandboxState | undefined>

/** What of a change's kind decides how its folder is treated. */
export type ChangeKind = { readonly kind: Change['kind']; readonly force?: boolean }

/**
 * One change of one sandbox, from the second lock to its release; the caller holds the first. Each of its system
 * calls is synchronous: on a memory filesystem it runs where the caller is, on a disk in a thread of its own.
 * @returns the new state, undefined after a deletion, or {@link BUSY}
 */
export async function changeLocked(
  { folder, lock: lockFile }: LockedSandbox,
  change: ChangeKind,
  apply: Apply,
  options: ChangeOptions,
): Promise<SandboxState | undefined | typeof BUSY> {
  const wasReleased = noteHolder(lockFile, new Date())
  const lock = await lockStateFile(folder, change)
  if (lock === BUSY) {
    if (wasReleased) noteRelease(lockFile) // Else whoever gets in next shall see what this one saw.
    return BUSY
  }
  let exists = true
  try {
    if (!wasReleased) sweep(folder)
    const found = find(folder, change)
    exists = found !== undefined
    const after = found === UNREADABLE ? undefined : await apply(found?.state)
    // A stranger who thought our lock stale, because we were stopped for long, may be inside by now.
    if (!lock.isHeld()) return BUSY
    if (after === undefined || found === UNREADABLE) removeState(folder, options)
    else replace(folder, found, after, options)
    exists = after !== undefined
    return after
  } finally {
    await lock.release()
    noteRelease(lockFile)
    if (!exists) removeFolder(folder)
  }
}

const UNREADABLE = 'unreadable'

/** What is there before the change. Of a forced deletion it need not be readable. */
export function find(folder: Dir, { kind, force }: ChangeKind): StateFile | typeof UNREADABLE | undefined {
  if (kind === 'create') {
    assertFree(folder)
    return undefined
  }
  try {
    return readStateFile(folder)
  } catch (error) {
    if (kind === 'delete' && force === true && isUnreadable(error)) return UNREADABLE
    throw error
  }
}

/** @throws StateStoreError `ALREADY_EXISTS` when a sandbox lives in this folder, ours or one of a later Kata */
export function assertFree(folder: Dir): void {
  if (!folder.exists(STATE_FILE) && !folder.exists(PERSIST_FILE)) return
  throw isForeign(folder) ? existsInAnotherFormat(folder.id) : alreadyExists(folder.id)
}

function isForeign(folder: Dir): boolean {
  try {
    return readStateFile(folder) === undefined
  } catch {
    return false
  }
}

function replace(
  folder: Dir,
  found: StateFile | undefined,
  after: SandboxState,
  { durable, history }: ChangeOptions,
): void {
  const { uid, gid } = found ?? ownerOf(folder)
  if (durable && found === undefined) syncRoot(folder)
  const left = replaceStateFile(folder, { text: encodeState(after), uid, gid, durable })
  try {
    if (durable) syncFolder(folder.fd, folder.id, folder.path)
  } finally {
    if (history) appendHistory(folder, { before: found?.state, after, found: found?.version ?? '', left })
    else if (found === undefined) removeHistory(folder) // An earlier sandbox's, left by a deletion that was killed.
  }
}

function ownerOf({ fd, id, path }: Dir): { uid: number; gid: number } {
  try {
    return fstatSync(fd)
  } catch (error) {
    throw ioError(error, 'look at', id, path)
  }
}

/**
 * A new folder is a name in the root, which is as much in need of a flush as a name in the folder. It comes before
 * the state: whoever finds one there, its maker killed or not, need not ask whether the folder's name is on the disk.
 */
function syncRoot(folder: Dir): void {
  const root = dirname(folder.path)
  try {
    const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      flush(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw ioError(error, 'flush', folder.id, root)
  }
}

/** The state goes first: from then on there is no sandbox, whatever is left of its folder. */
function removeState(folder: Dir, { durable }: ChangeOptions): void {
  const path = folder.displayPath(STATE_FILE)
  try {
    folder.unlink(STATE_FILE)
  } catch (error) {
    throw ioError(error, 'delete', folder.id, path)
  }
  if (durable) syncFolder(folder.fd, folder.id, folder.path)
}

/**
 * Removes the folder of a sandbox that is no more, or never came to be, unless something of others' is in it.
 * The lock file goes last: whoever waits for it then finds that it is no longer the one in the folder.
 */
export function removeFolder(folder: Dir): void {
  try {
    const names = readdirSync(folder.procPath('.'))
    if (names.some(name => name === STATE_FILE)) return
    removeHistory(folder)
    if (names.some(name => !OURS.has(name))) return
    folder.unlink(LOCK_FILE)
    rmdirSync(folder.path)
  } catch {
    // What is left is an unfinished create: no sandbox, and no obstacle to one.
  }
}

const OURS: ReadonlySet<string> = new Set([LOCK_FILE, HISTORY_FILE, OLD_HISTORY_FILE])

/**
 * Removes the temporary files that killed processes left. Whoever holds the lock knows that nobody writes one now.
 * They take room and do no other harm, so a change does not fail because one cannot be removed.
 */
export function sweep(folder: Dir): void {
  try {
    for (const name of readdirSync(folder.procPath('.'))) {
      if (isTemporaryFile(name)) removeFile(folder, name)
    }
  } catch {
    // The next change tries again, and `check` names them.
  }
}

/**
 * On a full disk no lock folder can be made, and deleting is what helps. Nobody else can make one there either,
 * so a deletion does without, if there is none.
 */
export async function lockStateFile(folder: Dir, { kind }: ChangeKind): Promise<StateLock | typeof BUSY> {
  try {
    return (await lockState(folder)) ?? BUSY
  } catch (error) {
    if (kind !== 'delete' || !isErrno(error, 'ENOSPC', 'EDQUOT')) {
      throw ioError(error, 'lock', folder.id, folder.displayPath(STATE_FILE))
    }
    return folder.exists(STATE_LOCK) ? BUSY : NO_LOCK
  }
}

const NO_LOCK: StateLock = { isHeld: () => true, release: async () => {} }
