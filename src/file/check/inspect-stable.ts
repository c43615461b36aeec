import { fstatSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Finding, FindingCode } from '../../check.js'
import { ioError, isErrno } from '../../errno.js'
import { LOCK_FILE } from '../layout.js'
import { SandboxLock } from '../lock/sandbox-lock.js'
import { pause } from '../lock/wait.js'
import { Dir } from '../posix/dir.js'
import { finding, inspect, type Owners } from './inspect.js'

/** What is wrong with one sandbox, or beside the sandboxes. */
export interface Inspection {
  readonly findings: readonly Finding[]
  /** What may be the work of another program that has the sandbox locked. */
  readonly unconfirmed: readonly Finding[]
}

/** How long to look at a sandbox that others are changing, in ms. */
const PATIENCE = 500

/**
 * What a change makes and removes again counts only once the folder's names have been the same for this long, in ms. A
 * create makes its folder before it can lock it.
 */
const SETTLED: Partial<Record<FindingCode, number>> = { LEFTOVER: 25, DEAD_LOCK: 25, UNFINISHED_CREATE: 250 }

/** Two changes of a folder less than this apart can leave it with one time, in ms: the kernel's clock ticks every 1 to 10. */
const TICK = 20

/**
 * Inspects a sandbox without a lock; if that shows a fault twice, some ms apart, then once more under the sandbox's
 * lock, so that it cannot be the work of a change under way. Nobody is kept out of a sandbox without a fault.
 */
export async function inspectStable(root: string, id: string, owners: Owners): Promise<Inspection> {
  const deadline = performance.now() + PATIENCE
  let first: readonly Finding[] | undefined
  for (let attempt = 0; ; attempt++) {
    const { findings, isCertain, unsettled } = look(root, id, owners, first)
    if (isCertain) return { findings, unconfirmed: [] }
    first ??= findings
    const left = deadline - performance.now()
    if (left <= 0) return besideOthers(first, findings, unsettled > 0)
    if (unsettled > 0) await sleep(Math.min(unsettled, left))
    else await pause(attempt, left)
  }
}

interface Look {
  readonly findings: readonly Finding[]
  readonly isCertain: boolean
  /** For how many ms more the folder's names must stay the same; 0 or less if they need not. */
  readonly unsettled: number
}

function look(root: string, id: string, owners: Owners, first: readonly Finding[] | undefined): Look {
  let dir: Dir | undefined
  try {
    dir = Dir.open(root, id)
    const { findings, isForeignLocked } = dir
      ? inspect(dir, owners)
      : { findings: [], isForeignLocked: false }
    // Another program's sandbox is not even locked.
    if (dir === undefined || findings.every(({ code }) => code === 'FOREIGN_SCHEMA')) {
      return { findings, isCertain: true, unsettled: 0 }
    }
    const unsettled = Math.max(...findings.map(({ code }) => SETTLED[code] ?? 0)) - age(dir)
    const isReady = first !== undefined && !isForeignLocked && unsettled <= 0
    const confirmed = isReady ? inspectUnderLock(dir, owners) : undefined
    return { findings: confirmed ?? findings, isCertain: confirmed !== undefined, unsettled }
  } catch (error) {
    const findings = faultOf(error, root, id)
    const isSame = findings[0]?.message === first?.[0]?.message
    return { findings, isCertain: findings.length === 0 || isSame, unsettled: 0 }
  } finally {
    dir?.close()
  }
}

/** For how many ms the folder has had the names that it has. The clock may have been set back meanwhile. */
function age(dir: Dir): number {
  return Math.abs(Date.now() - fstatSync(dir.fd).ctimeMs)
}

/** @returns undefined when somebody else is inside */
function inspectUnderLock(dir: Dir, owners: Owners): readonly Finding[] | undefined {
  let lock: SandboxLock | undefined
  try {
    lock = SandboxLock.tryAcquire(dir, 0)
    if (lock === undefined && dir.exists(LOCK_FILE)) return undefined
  } catch {
    // There is something else in its place, or we may not open it.
  }
  try {
    const { findings, isForeignLocked } = inspect(dir, owners)
    // Where there is nothing to lock nobody is inside, unless somebody came just now: then the folder has changed.
    const isAlone = lock !== undefined || age(dir) >= TICK
    return isAlone && !isForeignLocked ? findings : undefined
  } finally {
    lock?.release()
  }
}

/** While others have the sandbox locked, only what a change does not cause, and was so all the while, is a fault. */
function besideOthers(first: readonly Finding[], last: readonly Finding[], isFresh: boolean): Inspection {
  const before = new Set(first.map(({ message }) => message))
  const isTransient = ({ code }: Finding) => SETTLED[code] !== undefined
  return {
    findings: last.filter(fault => !isTransient(fault) && before.has(fault.message)),
    unconfirmed: isFresh ? [] : last.filter(isTransient),
  }
}

/** What keeps us from looking into a sandbox. */
function faultOf(error: unknown, root: string, id: string): Finding[] {
  const at = join(root, id)
  const { code, path = at, message, cause } = ioError(error, 'inspect', id, at)
  if (isErrno(cause, 'ENOENT')) return [] // It was deleted meanwhile.
  if (code !== 'CORRUPT_STATE') return [{ code: 'UNREADABLE', id, path, message, repairable: false }]
  return isLink(at)
    ? [finding('SYMLINK', at, "a symbolic link is where a sandbox's folder belongs", true, id)]
    : [finding('NOT_A_FOLDER', at, "something else is where a sandbox's folder belongs", false, id)]
}

function isLink(path: string): boolean {
  try {
    readlinkSync(path)
    return true
  } catch {
    return false
  }
}
