import { closeSync, fstatSync, lstatSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Finding, FindingCode } from '../../check.js'
import { isErrno } from '../../errno.js'
import { LOCK_FILE } from '../layout.js'
import { pause } from '../lock/backoff.js'
import { openLockToRead } from '../lock/lock-file.js'
import { Dir } from '../posix/dir.js'
import { LOCK_SH, tryFlock } from '../posix/flock.js'
import { type Look, look, lookInside, NOTHING_THERE, type Owners } from './inspect.js'

/** Findings that are certain, or, of a sandbox that others are changing all the time, what can be told of it. */
export interface CertainLook {
  readonly findings: readonly Finding[]
  /** Something looked wrong, but the sandbox stayed locked for as long as one may wait, so it may be the holder's doing. */
  readonly suspicions: readonly Finding[]
}

/** How long to wait for a sandbox that somebody holds, in ms. */
const PATIENCE = 250

/** For so many ms after its last new name, a folder without a state may be one that a create is about to fill. */
const SETTLED = 250

/** How often to wait for that. */
const MOST_LOOKS = 6

/**
 * Looks at a sandbox, and where something seems wrong once more while nobody changes it, under a shared lock: a
 * temporary file or a lock folder of a change under way is none of a fault's. Holds the lock for one look.
 */
export async function lookTwice(root: string, id: string, owners: Owners): Promise<CertainLook> {
  const first = look(root, id, owners)
  if (first.findings.length === 0) return NOTHING
  for (let looks = 1; ; looks++) {
    const { findings, strangerInside, age, quiet } = await quietLook(root, id, owners)
    if (!quiet || strangerInside) return uncertain(first.findings, findings)
    if (age >= SETTLED || !findings.some(isUnfinished)) return { findings, suspicions: [] }
    if (looks === MOST_LOOKS) return { findings: findings.filter(one => !isUnfinished(one)), suspicions: [] }
    await sleep(SETTLED - age)
  }
}

const NOTHING: CertainLook = { findings: [], suspicions: [] }

function isUnfinished({ code, repairable }: Finding): boolean {
  return code === 'UNFINISHED_CREATE' && repairable
}

/** What a change makes and takes away again. */
const PASSING: ReadonlySet<FindingCode> = new Set(['LEFTOVER', 'DEAD_LOCK', 'UNFINISHED_CREATE'])

/** While somebody is inside, only what stayed the same for the whole wait is a fault. */
function uncertain(first: readonly Finding[], now: readonly Finding[]): CertainLook {
  const before = new Set(first.map(({ message }) => message))
  const lasting = (finding: Finding) => !PASSING.has(finding.code) && before.has(finding.message)
  return { findings: now.filter(lasting), suspicions: now.filter(finding => !lasting(finding)) }
}

interface MaybeQuietLook extends Look {
  readonly quiet: boolean
}

async function quietLook(root: string, id: string, owners: Owners): Promise<MaybeQuietLook> {
  const deadline = performance.now() + PATIENCE
  for (let attempt = 0; ; attempt++) {
    const seen = tryQuietLook(root, id, owners)
    if (seen !== undefined) return { ...seen, quiet: true }
    const left = deadline - performance.now()
    if (left <= 0) return { ...look(root, id, owners), quiet: false }
    await pause(attempt, left)
  }
}

/** @returns undefined when somebody is inside */
function tryQuietLook(root: string, id: string, owners: Owners): Look | undefined {
  let folder: Dir | undefined
  try {
    folder = Dir.open(root, id)
  } catch {
    return look(root, id, owners) // No folder that anybody could hold.
  }
  if (folder === undefined) return NOTHING_THERE
  try {
    const lock = openLock(folder)
    if (lock === undefined) return lookWithoutLock(folder, owners)
    try {
      return tryFlock(lock, LOCK_SH) && isThere(folder, lock) ? lookInside(folder, owners) : undefined
    } finally {
      closeSync(lock)
    }
  } finally {
    folder.close()
  }
}

function openLock(folder: Dir): number | undefined {
  let fd: number
  try {
    fd = openLockToRead(folder)
  } catch (error) {
    if (isErrno(error, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error
    return undefined
  }
  if (fstatSync(fd).isFile()) return fd
  closeSync(fd)
  return undefined
}

/**
 * Without a lock file, or with something else in its place, nobody of us is inside, unless one came, or came and went,
 * during the look: then the folder has changed.
 */
function lookWithoutLock(folder: Dir, owners: Owners): Look | undefined {
  const { ctimeMs } = fstatSync(folder.fd)
  if (Math.abs(Date.now() - ctimeMs) < TICK) return undefined
  const seen = lookInside(folder, owners)
  return fstatSync(folder.fd).ctimeMs === ctimeMs ? seen : undefined
}

/** Two changes of a folder that are less than this apart may leave it with one time, in ms: the kernel's clock ticks every 1 to 10. */
const TICK = 20

function isThere(folder: Dir, lock: number): boolean {
  const held = fstatSync(lock)
  const there = lstatSync(folder.procPath(LOCK_FILE), { throwIfNoEntry: false })
  return there?.ino === held.ino && there.dev === held.dev
}
