import { fstatSync, rmdirSync, type Stats } from 'node:fs'
import { basename, join } from 'node:path'
import type { Repair, RepairAction, RepairOptions } from '../../check.js'
import { isErrno, reason } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import * as layout from '../layout.js'
import { tryDotLock } from '../lock/dot-lock.js'
import { SandboxLock } from '../lock/sandbox-lock.js'
import { LockWait } from '../lock/wait.js'
import { Dir } from '../posix/dir.js'
import { isDirectory } from '../posix/file-stat.js'
import { setMode } from '../posix/set-mode.js'
import { removeDir } from '../sandbox-dir.js'
import { inspectAll, openRoot } from './check.js'
import type { Fault } from './fault.js'
import { inspect } from './inspect.js'
import { type QuarantineRequest, quarantine } from './quarantine.js'
import { Trust } from './trust.js'

const { DOT_LOCK, FILE_MODE, FOLDER_MODE, LOCK_FILE, QUARANTINE, STATE_FILE } = layout

/** The files that are moved with a damaged state. The state goes last, so that after a kill the next repair starts over. */
const WITH_STATE = [layout.OLD_HISTORY_FILE, layout.HISTORY_FILE, STATE_FILE]

export interface FileRepairOptions extends RepairOptions {
  /** How long to wait for each sandbox that is locked, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
}

/**
 * Finds every fault below a root and repairs it if no guess is needed; a dry run only reports. Each sandbox is inspected
 * again and repaired under both of its locks, as a change would be.
 * @returns a row for each fault, with failures as rows, too
 * @throws StateStoreError `IO_ERROR` when the root cannot be read; nothing was changed then
 */
export async function repairFiles(path: string, options: FileRepairOptions): Promise<Repair[]> {
  const rows: Repair[] = []
  const root = openRoot(path)
  if (root === undefined) return rows
  const trust = new Trust(root)
  try {
    for await (const { faults, unconfirmed } of inspectAll(root, trust, options)) {
      rows.push(...faults.filter(isLeft).map(fault => row(fault)))
      const repairable = faults.filter(fault => !isLeft(fault))
      const pending = [...repairable, ...unconfirmed]
      const id = pending[0]?.id
      if (options.dryRun) rows.push(...repairable.map(one => planned(one, path)), ...unconfirmed.map(busy))
      else if (id !== undefined)
        rows.push(...(await new SandboxRepair(root, id, trust, options).run(pending)))
    }
  } catch (error) {
    if (rows.length === 0 || !(error instanceof StateStoreError)) throw error
    rows.push({ code: 'UNREADABLE', path, action: 'failed', message: error.message })
  } finally {
    root.close()
  }
  return rows
}

function isLeft({ remedy }: Fault): boolean {
  return remedy === 'left'
}

function row({ remedy, message, ...fault }: Fault, action: RepairAction = remedy, why?: string): Repair {
  return { ...fault, action, message: why === undefined ? message : `${message}; ${why}` }
}

function planned(fault: Fault, root: string): Repair {
  return fault.remedy === 'moved' ? { ...row(fault), to: join(root, QUARANTINE) } : row(fault)
}

function busy(fault: Fault): Repair {
  return row(fault, 'busy', 'somebody holds the sandbox, so it was left alone')
}

function failed(fault: Fault, error: unknown): Repair {
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
    private readonly trust: Trust,
    private readonly options: FileRepairOptions,
  ) {
    this.path = root.displayPath(id)
  }

  async run(faults: readonly Fault[]): Promise<readonly Repair[]> {
    const wait = new LockWait(this.path, this.id, this.options)
    try {
      while (!(await this.repair(faults, wait.spin))) await wait.backOff('flock')
    } catch (error) {
      this.rows.push(...faults.filter(fault => !this.isDone(fault)).map(fault => failed(fault, error)))
    }
    return this.rows
  }

  private isDone({ code, path }: Fault): boolean {
    return this.rows.some(row => row.code === code && row.path === path)
  }

  /** @returns false while another process holds a lock that it takes */
  private async repair(faults: readonly Fault[], spin: number): Promise<boolean> {
    // First move whatever takes the place of the folder or a lock, so that the sandbox can be locked.
    const places = [this.path, join(this.path, LOCK_FILE), join(this.path, DOT_LOCK)]
    const obstructions = faults.filter(fault => fault.remedy === 'moved' && places.includes(fault.path))
    for (const fault of obstructions) if (!(await this.moveObstruction(fault))) return false
    const dir = faults.length > obstructions.length ? Dir.open(this.root.path, this.id) : undefined
    if (dir === undefined) return true
    let lock: SandboxLock | undefined
    try {
      this.setModes(dir, faults)
      if (faults.every(fault => this.isDone(fault))) return true
      lock = dir.exists(LOCK_FILE)
        ? SandboxLock.tryAcquire(dir, spin)
        : SandboxLock.tryAcquireMaking(dir, false)
      return lock !== undefined && (await this.repairLocked(lock))
    } catch (error) {
      // A file or the folder was removed meanwhile, which is not a failure.
      if (error instanceof StateStoreError && isErrno(error.cause, 'ENOENT')) return false
      throw error
    } finally {
      lock?.release()
      dir.close()
    }
  }

  /** Only another repair removes such a thing, so it is checked once more. */
  private async moveObstruction(fault: Fault): Promise<boolean> {
    const { root, id, trust } = this
    const isFolder = fault.path === this.path
    const from = isFolder ? root : Dir.open(root.path, id)
    if (from === undefined) return true
    const isStillSo = () => {
      if (!isFolder) return inspect(from, trust).faults.some(({ message }) => message === fault.message)
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

  /** Before the lock is taken: a wrong mode can prevent that, and does not affect a change under way. */
  private setModes(dir: Dir, faults: readonly Fault[]): void {
    const check = (stat: Stats) => {
      if (!this.trust.mayChangeMode(stat)) throw new Error('it is no longer ours alone')
    }
    for (const fault of faults.filter(({ remedy }) => remedy === 'chmod')) {
      const isFolder = fault.path === dir.path
      const path = dir.procPath(isFolder ? '.' : basename(fault.path))
      this.attempt(fault, () => setMode(path, isFolder ? FOLDER_MODE : FILE_MODE, check))
    }
  }

  private async repairLocked(lock: SandboxLock): Promise<boolean> {
    const { dir } = lock
    const { faults: all, isForeignLocked } = inspect(dir, this.trust)
    if (isForeignLocked && all.length > 0) return false
    const faults = all.filter(fault => !isLeft(fault))
    if (faults.length === 0) return true
    lock.writeHolder()
    const dotLock = tryDotLock(dir, true)
    if (dotLock === undefined) return false
    const damaged = faults.filter(fault => fault.remedy === 'moved')
    const names = new Set(damaged.map(({ path }) => basename(path)))
    const isStateBad = names.delete(STATE_FILE)
    if (isStateBad) for (const name of WITH_STATE) names.add(name)
    try {
      for (const fault of faults) {
        if (fault.code === 'LEFTOVER') this.attempt(fault, () => dir.unlink(basename(fault.path)))
        if (fault.code === 'DEAD_LOCK') this.attempt(fault, () => {}) // Taking the lock has removed it.
      }
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

  private attempt(fault: Fault, act: () => void): void {
    if (this.isDone(fault)) return
    try {
      act()
      this.rows.push(row(fault))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) this.rows.push(failed(fault, error)) // Otherwise it was removed meanwhile.
    }
  }

  /** @returns whether anything was moved */
  private async move(
    what: Pick<QuarantineRequest, 'from' | 'names' | 'faults' | 'isStillSo'>,
  ): Promise<boolean> {
    const { root, id, trust, options } = this
    const to = await quarantine({ ...what, root, id, trust, durable: options.durable })
    if (to === undefined) return false
    this.rows.push(...what.faults.map(fault => ({ ...row(fault), to })))
    return true
  }

  /** Removes a folder without a state, lock file included, as after a deletion. */
  private removeUnfinished(lock: SandboxLock, fault: Fault | undefined): void {
    const { dir } = lock
    removeDir(lock)
    const isTakenOver = !lock.isCurrent() && dir.exists(LOCK_FILE) // By a create, once the lock file was gone.
    if (fault === undefined || isTakenOver) return
    this.attempt(fault, () => {
      if (fstatSync(dir.fd).nlink > 0) rmdirSync(dir.path) // Throws the reason why it was not removed.
    })
  }
}
