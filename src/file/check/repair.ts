import { constants, fchmodSync, fstatSync, rmdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Finding, FindingCode, Repair, RepairAction, RepairOptions } from '../../check.js'
import { isErrno, reason } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { removeDir } from '../commit.js'
import * as layout from '../layout.js'
import { tryDotLock } from '../lock/dot-lock.js'
import { SandboxLock } from '../lock/sandbox-lock.js'
import { LockWait } from '../lock/wait.js'
import { closeFile, Dir } from '../posix/dir.js'
import { isDirectory } from '../posix/file-stat.js'
import { inspectAll, openRoot, ownersBelow } from './check.js'
import { inspect, mayChangeMode, type Owners } from './inspect.js'
import { type QuarantineRequest, quarantine } from './quarantine.js'

const { DOT_LOCK, HISTORY_FILE, LOCK_FILE, OLD_HISTORY_FILE, QUARANTINE, STATE_FILE } = layout

export interface FileRepairOptions extends RepairOptions {
  /** How long to wait for each sandbox that is locked, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
}

/** What is done about a repairable fault. What is not named here is moved to the quarantine. */
const ACTIONS: Partial<Readonly<Record<FindingCode, RepairAction>>> = {
  UNFINISHED_CREATE: 'removed',
  LEFTOVER: 'removed',
  DEAD_LOCK: 'removed',
  WRONG_MODE: 'chmod',
}

/**
 * Finds every fault below a root and does what can be done about it without a guess; in a dry run only says so. Each
 * sandbox is inspected again and repaired under both of its locks, as a change would be.
 * @returns a row for each fault; what fails on the way is a row, too
 * @throws StateStoreError `IO_ERROR` when the root cannot be read; nothing was done then
 */
export async function repairFiles(path: string, options: FileRepairOptions): Promise<Repair[]> {
  const rows: Repair[] = []
  const root = openRoot(path)
  if (root === undefined) return rows
  const owners = ownersBelow(root)
  try {
    for await (const { findings, unconfirmed } of inspectAll(root, owners, options)) {
      const repairable = findings.filter(fault => fault.repairable)
      const pending = [...repairable, ...unconfirmed]
      const id = pending[0]?.id
      rows.push(...findings.filter(fault => !fault.repairable).map(fault => row(fault, 'left')))
      if (options.dryRun) {
        const plan = (fault: Finding) => row(fault, actionOn(fault))
        const to = join(path, QUARANTINE)
        rows.push(...repairable.map(plan).map(one => (one.action === 'moved' ? { ...one, to } : one)))
        rows.push(...unconfirmed.map(busy))
      } else if (id !== undefined)
        rows.push(...(await new SandboxRepair(root, id, owners, options).run(pending)))
    }
  } catch (error) {
    if (rows.length === 0 || !(error instanceof StateStoreError)) throw error
    rows.push({ code: 'UNREADABLE', path, action: 'failed', message: error.message })
  } finally {
    root.close()
  }
  return rows
}

function actionOn({ code }: Finding): RepairAction {
  return ACTIONS[code] ?? 'moved'
}

function row({ code, id, path, message }: Finding, action: RepairAction, why?: string): Repair {
  const text = why === undefined ? message : `${message}; ${why}`
  return { code, ...(id !== undefined && { id }), path, action, message: text }
}

function busy(fault: Finding): Repair {
  return row(fault, 'busy', 'somebody holds the sandbox, so it was left alone')
}

function failed(fault: Finding, error: unknown): Repair {
  const isBusy = error instanceof StateStoreError && error.code === 'LOCK_TIMEOUT'
  return isBusy ? busy(fault) : row(fault, 'failed', reason(error))
}

/** The repair of one sandbox. */
class SandboxRepair {
  private readonly rows: Repair[] = []
  private readonly path: string

  constructor(
    private readonly root: Dir,
    private readonly id: string,
    private readonly owners: Owners,
    private readonly options: FileRepairOptions,
  ) {
    this.path = root.displayPath(id)
  }

  async run(faults: readonly Finding[]): Promise<readonly Repair[]> {
    const wait = new LockWait(this.path, this.id, {
      timeout: this.options.lockTimeout,
      signal: undefined,
      trace: undefined,
    })
    try {
      while (!(await this.repair(faults, wait.spin))) await wait.backOff('flock')
    } catch (error) {
      this.rows.push(...faults.filter(fault => !this.isDone(fault)).map(fault => failed(fault, error)))
    }
    return this.rows
  }

  private isDone({ code, path }: Finding): boolean {
    return this.rows.some(row => row.code === code && row.path === path)
  }

  /** @returns false while another process holds a lock that it takes */
  private async repair(faults: readonly Finding[], spin: number): Promise<boolean> {
    // What is where the folder or a lock belongs, so that the sandbox cannot be locked.
    const places = [this.path, join(this.path, LOCK_FILE), join(this.path, DOT_LOCK)]
    const obstructions = faults.filter(fault => actionOn(fault) === 'moved' && places.includes(fault.path))
    for (const fault of obstructions) if (!(await this.moveObstruction(fault))) return false
    const dir = faults.length > obstructions.length ? Dir.open(this.root.path, this.id) : undefined
    if (dir === undefined) return true
    let lock: SandboxLock | undefined
    try {
      lock = dir.exists(LOCK_FILE)
        ? SandboxLock.tryAcquire(dir, spin)
        : SandboxLock.tryAcquireMaking(dir, false)
      return lock !== undefined && (await this.repairLocked(lock))
    } catch (error) {
      // A file or the folder was removed meanwhile: what is gone is not a failure.
      if (error instanceof StateStoreError && isErrno(error.cause, 'ENOENT')) return false
      throw error
    } finally {
      lock?.release()
      dir.close()
    }
  }

  /** The store neither makes such a thing nor removes it; another repair may, so it is looked at once more. */
  private async moveObstruction(fault: Finding): Promise<boolean> {
    const { root, id, owners } = this
    const isFolder = fault.path === this.path
    const from = isFolder ? root : Dir.open(root.path, id)
    if (from === undefined) return true
    const isStillSo = () => {
      if (!isFolder) return inspect(from, owners).findings.some(({ message }) => message === fault.message)
      const stat = root.stat(id)
      return stat !== undefined && !isDirectory(stat)
    }
    try {
      const names = [basename(fault.path)]
      return !isStillSo() || (await this.move({ from, names, faults: [fault], isStillSo }))
    } finally {
      if (!isFolder) from.close()
    }
  }

  private async repairLocked(lock: SandboxLock): Promise<boolean> {
    const { dir } = lock
    const { findings, isForeignLocked } = inspect(dir, this.owners)
    if (isForeignLocked && findings.length > 0) return false
    const faults = findings.filter(({ repairable }) => repairable)
    if (faults.length === 0) return true
    lock.writeHolder()
    const dotLock = tryDotLock(dir, true)
    if (dotLock === undefined) return false
    const damaged = faults.filter(fault => actionOn(fault) === 'moved')
    const names = new Set(damaged.map(({ path }) => basename(path)))
    const isStateBad = names.delete(STATE_FILE)
    // The history goes with its state. The state goes last: after a kill before that, a repair begins anew.
    if (isStateBad) for (const name of [OLD_HISTORY_FILE, HISTORY_FILE, STATE_FILE]) names.add(name)
    try {
      this.repairInPlace(dir, faults)
      const isStillSo = () => dotLock.isOurs() && lock.isCurrent()
      const request = { from: dir, names: [...names], faults: damaged, isStillSo }
      if (damaged.length > 0 && !(await this.move(request))) return false
    } finally {
      dotLock.release()
    }
    const unfinished = faults.find(({ code }) => code === 'UNFINISHED_CREATE')
    if (isStateBad || unfinished !== undefined) this.removeUnfinished(lock, unfinished)
    return true
  }

  private repairInPlace(dir: Dir, faults: readonly Finding[]): void {
    for (const fault of faults) {
      const name = fault.path === dir.path ? '.' : basename(fault.path)
      if (fault.code === 'LEFTOVER') this.attempt(fault, () => dir.unlink(name))
      if (fault.code === 'WRONG_MODE') this.attempt(fault, () => setMode(dir, name, this.owners))
      if (fault.code === 'DEAD_LOCK') this.attempt(fault, () => {}) // By taking the lock.
    }
  }

  private attempt(fault: Finding, act: () => void): void {
    if (this.isDone(fault)) return
    try {
      act()
      this.rows.push(row(fault, actionOn(fault)))
    } catch (error) {
      this.rows.push(failed(fault, error))
    }
  }

  /** @returns whether anything was moved */
  private async move(
    what: Pick<QuarantineRequest, 'from' | 'names' | 'faults' | 'isStillSo'>,
  ): Promise<boolean> {
    const { root, id, owners, options } = this
    const to = await quarantine({ ...what, root, id, owners, durable: options.durable })
    if (to === undefined) return false
    this.rows.push(...what.faults.map(fault => ({ ...row(fault, 'moved'), to })))
    return true
  }

  /** Removes a folder without a state, with its lock file, as after a deletion. */
  private removeUnfinished(lock: SandboxLock, fault: Finding | undefined): void {
    const { dir } = lock
    removeDir(lock)
    const isTakenOver = !lock.isCurrent() && dir.exists(LOCK_FILE) // By a create, once the lock file was gone.
    if (fault === undefined || isTakenOver) return
    this.attempt(fault, () => {
      if (fstatSync(dir.fd).nlink > 0) rmdirSync(dir.path) // Says why it could not be removed.
    })
  }
}

/** Through a descriptor, so that it is the mode of what was looked at. */
function setMode(dir: Dir, name: string, owners: Owners): void {
  const fd = dir.open(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    if (!mayChangeMode(stat, owners)) throw new Error('it is not ours alone any more')
    fchmodSync(fd, stat.isDirectory() ? layout.FOLDER_MODE : layout.FILE_MODE)
  } finally {
    closeFile(fd)
  }
}
