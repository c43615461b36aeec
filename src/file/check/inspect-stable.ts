import { fstatSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FindingCode } from '../../check.js'
import { ioError, isErrno } from '../../errno.js'
import { LOCK_FILE } from '../layout.js'
import { SandboxLock } from '../lock/sandbox-lock.js'
import { pause } from '../lock/wait.js'
import { Dir } from '../posix/dir.js'
import { type Fault, faultAt } from './fault.js'
import { inspect } from './inspect.js'
import type { Trust } from './trust.js'

/** What is wrong with one sandbox, or beside the sandboxes. */
export interface Inspection {
  readonly faults: readonly Fault[]
  /** Possible faults that may be due to another program that has the sandbox locked. */
  readonly unconfirmed: readonly Fault[]
}

/** How long to retry a sandbox that others are changing, in ms. */
const LONGEST_INSPECTION = 500

/**
 * What a change creates and removes again is a fault only once the folder's names have been the same for this long, in ms.
 * (A create makes its folder before it can lock it.)
 */
const SETTLED: Partial<Record<FindingCode, number>> = { LEFTOVER: 25, DEAD_LOCK: 25, UNFINISHED_CREATE: 250 }

/** Two changes of a folder less than this apart, in ms, can leave it with the same time: the kernel's clock ticks every 1 to 10. */
const TICK = 20

/**
 * Inspects a sandbox without a lock; if that shows a fault twice, some ms apart, then once more under the sandbox's lock, so
 * that it cannot be due to a change under way. A sandbox without a fault is never locked.
 */
export async function inspectStable(root: string, id: string, trust: Trust): Promise<Inspection> {
  const deadline = performance.now() + LONGEST_INSPECTION
  let first: readonly Fault[] | undefined
  for (let attempt = 0; ; attempt++) {
    const { faults, isCertain, unsettled } = look(root, id, trust, first)
    if (isCertain) return { faults, unconfirmed: [] }
    first ??= faults
    const left = deadline - performance.now()
    if (left <= 0) return besideOthers(first, faults, unsettled > 0)
    if (unsettled > 0) await sleep(Math.min(unsettled, left))
    else await pause(attempt, left)
  }
}

interface Look {
  readonly faults: readonly Fault[]
  readonly isCertain: boolean
  /** How much longer the folder's names must stay the same, in ms; 0 or less if no longer. */
  readonly unsettled: number
}

function look(root: string, id: string, trust: Trust, first: readonly Fault[] | undefined): Look {
  let dir: Dir | undefined
  try {
    dir = Dir.open(root, id)
    if (dir === undefined) return { faults: [], isCertain: true, unsettled: 0 }
    const { faults, isForeignLocked } = inspect(dir, trust)
    // Another program's sandbox is not even locked.
    const isCertain = faults.every(({ code }) => code === 'FOREIGN_SCHEMA')
    if (isCertain) return { faults, isCertain, unsettled: 0 }
    const unsettled = Math.max(...faults.map(({ code }) => SETTLED[code] ?? 0)) - age(dir)
    const isReady = first !== undefined && !isForeignLocked && unsettled <= 0
    const confirmed = isReady ? inspectUnderLock(dir, trust) : undefined
    return { faults: confirmed ?? faults, isCertain: confirmed !== undefined, unsettled }
  } catch (error) {
    const faults = faultsOf(error, root, id)
    const isSame = faults[0]?.message === first?.[0]?.message
    return { faults, isCertain: faults.length === 0 || isSame, unsettled: 0 }
  } finally {
    dir?.close()
  }
}

/** For how many ms the folder's names have been the same. The clock may have been set back meanwhile. */
function age(dir: Dir): number {
  return Math.abs(Date.now() - fstatSync(dir.fd).ctimeMs)
}

/** @returns undefined when another process is changing the sandbox */
function inspectUnderLock(dir: Dir, trust: Trust): readonly Fault[] | undefined {
  let lock: SandboxLock | undefined
  try {
    lock = SandboxLock.tryAcquire(dir, 0)
    if (lock === undefined && dir.exists(LOCK_FILE)) return undefined
  } catch {
    // The lock file is not a regular file, or we may not open it.
  }
  try {
    const { faults, isForeignLocked } = inspect(dir, trust)
    // Without a lock file nobody is changing the sandbox, unless somebody began just now: then the folder is young.
    const isAlone = lock !== undefined || age(dir) >= TICK
    return isAlone && !isForeignLocked ? faults : undefined
  } finally {
    lock?.release()
  }
}

/** While others have the sandbox locked, a fault is only what no change causes, and what persists. */
function besideOthers(first: readonly Fault[], last: readonly Fault[], isFresh: boolean): Inspection {
  const before = new Set(first.map(({ message }) => message))
  const isTransient = ({ code }: Fault) => SETTLED[code] !== undefined
  return {
    faults: last.filter(fault => !isTransient(fault) && before.has(fault.message)),
    unconfirmed: isFresh ? [] : last.filter(isTransient),
  }
}

/** The faults that keep a sandbox from being inspected. */
function faultsOf(error: unknown, root: string, id: string): Fault[] {
  const at = join(root, id)
  const { code, path = at, message, cause } = ioError(error, 'inspect', id, at)
  if (isErrno(cause, 'ENOENT')) return [] // It was deleted meanwhile.
  if (code !== 'CORRUPT_STATE') return [{ code: 'UNREADABLE', id, path, message, remedy: 'left' }]
  return isLink(at)
    ? [faultAt(at, 'SYMLINK', "a symbolic link is where a sandbox's folder belongs", { id })]
    : [
        faultAt(at, 'NOT_A_FOLDER', "something else is where a sandbox's folder belongs", {
          id,
          remedy: 'left',
        }),
      ]
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}
