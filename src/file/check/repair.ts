import { closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Finding, FindingCode, Repair, RepairAction, RepairOptions } from '../../check.js'
import { StateStoreError } from '../../errors.js'
import { BUSY, lockStateFile, removeFolder, sweep } from '../commit.js'
import {
  FILE_MODE,
  FOLDER_MODE,
  HISTORY_FILE,
  LOCK_FILE,
  OLD_HISTORY_FILE,
  QUARANTINE,
  STATE_FILE,
  STATE_LOCK,
} from '../layout.js'
import { noteHolder, noteRelease } from '../lock/holder-record.js'
import { type LockedSandbox, lockSandbox, type Patience, unlock, waitOrGiveUp } from '../lock/sandbox-lock.js'
import { Dir } from '../posix/dir.js'
import { type Found, findBelow, ownersBelow } from './check.js'
import { lookInside, mayChangeMode, type Owners } from './inspect.js'
import { openRoot, setAside, sweepQuarantine } from './quarantine.js'

export interface FileRepairOptions extends RepairOptions {
  /** How long to wait for each sandbox that somebody holds, in ms. */
  readonly lockTimeout: number
  readonly durable: boolean
}

/** What is done about a fault, if it is one that repair acts on. */
const ACTIONS: Readonly<Record<FindingCode, RepairAction>> = {
  CORRUPT_STATE: 'moved',
  EMPTY_STATE: 'moved',
  NUL_STATE: 'moved',
  INVALID_STATE: 'moved',
  DAMAGED_HISTORY: 'moved',
  OVERSIZE: 'moved',
  SYMLINK: 'moved',
  NOT_A_FILE: 'moved',
  NOT_A_FOLDER: 'moved',
  HARD_LINK: 'left',
  UNFINISHED_CREATE: 'removed',
  LEFTOVER: 'removed',
  DEAD_LOCK: 'removed',
  FUTURE_LOCK: 'left',
  WRONG_MODE: 'chmod',
  WRONG_OWNER: 'left',
  INVALID_ID: 'left',
  FOREIGN_SCHEMA: 'left',
  MIXED_SCHEMA: 'left',
  UNREADABLE: 'left',
}

/**
 * Finds every fault below a root and does what can be done about it without a guess; in a dry run tells it only.
 * Each sandbox is looked at again and repaired under both of its locks, as a change would be.
 * @throws StateStoreError `IO_ERROR` when the root cannot be read; what fails in one sandbox is told in the result
 */
export async function repairFiles(root: string, options: FileRepairOptions): Promise<Repair[]> {
  const done: Repair[] = []
  for await (const found of findBelow(root, options)) {
    const { id, findings, suspicions } = found
    if (options.dryRun) done.push(...findings.map(finding => planned(root, finding)), ...suspicions.map(busy))
    else if (id === undefined) done.push(...(await repairBeside(root, found)))
    else done.push(...(await new SandboxRepair(root, id, options).run(found)))
  }
  return done
}

function planned(root: string, finding: Finding): Repair {
  const action = actionOn(finding)
  return action === 'moved' ? { ...row(finding, action), to: join(root, QUARANTINE) } : row(finding, action)
}

function actionOn({ code, repairable }: Finding): RepairAction {
  return repairable ? ACTIONS[code] : 'left'
}

function row({ code, id, path, message }: Finding, action: RepairAction, instead = message): Repair {
  return { code, ...(id === undefined ? {} : { id }), path, action, message: instead }
}

function busy(finding: Finding): Repair {
  return row(finding, 'busy', `${finding.message}; somebody holds the sandbox, so it was left alone`)
}

function failed(finding: Finding, error: unknown): Repair {
  const { message } = error instanceof Error ? error : new Error(String(error))
  return row(finding, 'failed', `${finding.message}; ${message}`)
}

async function repairBeside(root: string, { findings }: Found): Promise<Repair[]> {
  const swept = findings.some(({ repairable }) => repairable) ? await sweepQuarantine(root) : new Set()
  return findings
    .filter(({ path, repairable }) => !repairable || swept.has(path))
    .map(finding => row(finding, actionOn(finding)))
}

/** The repair of one sandbox. */
class SandboxRepair {
  private readonly rows: Repair[] = []
  private readonly path: string
  private readonly owners: Owners
  private readonly patience: Patience

  constructor(
    private readonly root: string,
    private readonly id: string,
    private readonly options: FileRepairOptions,
  ) {
    const { lockTimeout } = options
    this.path = join(root, id)
    this.owners = ownersBelow(statSync(root).uid)
    this.patience = { deadline: performance.now() + lockTimeout, timeout: lockTimeout }
  }

  async run({ findings, suspicions }: Found): Promise<readonly Repair[]> {
    const left = findings.filter(finding => actionOn(finding) === 'left')
    const rest = [...findings.filter(finding => actionOn(finding) !== 'left'), ...suspicions]
    this.rows.push(...left.map(finding => row(finding, 'left')))
    if (rest.length === 0) return this.rows
    try {
      const unlockable = rest.filter(finding => this.isInTheWay(finding))
      for (const finding of unlockable) await this.clearTheWay(finding)
      if (unlockable.some(({ path }) => path === this.path)) return this.rows
      if (rest.length > unlockable.length) await this.lockAndMend()
    } catch (error) {
      const untold = rest.filter(
        one => !this.rows.some(({ code, path }) => code === one.code && path === one.path),
      )
      const isBusy = error instanceof StateStoreError && error.code === 'LOCK_TIMEOUT'
      this.rows.push(...untold.map(finding => (isBusy ? busy(finding) : failed(finding, error))))
    }
    return this.rows
  }

  /** Whether it is where the sandbox's folder or its lock file belongs, so that there is nothing to lock. */
  private isInTheWay({ path }: Finding): boolean {
    return path === this.path ? !isFolder(path) : path === join(this.path, LOCK_FILE) && !isFile(path)
  }

  /** Nobody of us makes anything in such a place or takes it away, except another repair: see `isStillSo`. */
  private async clearTheWay(finding: Finding): Promise<void> {
    const isTheFolder = finding.path === this.path
    const from = isTheFolder ? openRoot(this.root) : Dir.open(this.root, this.id)
    if (from === undefined) return
    const name = basename(finding.path)
    try {
      await this.move(from, [name], [finding], () => {
        const stat = lstatSync(from.procPath(name), { throwIfNoEntry: false })
        return stat !== undefined && !(isTheFolder ? stat.isDirectory() : stat.isFile())
      })
    } finally {
      from.close()
    }
  }

  private async lockAndMend(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const sandbox = await lockSandbox(this.root, this.id, this.patience, true)
      if (sandbox === undefined) return // Deleted meanwhile.
      let result: typeof BUSY | undefined
      try {
        result = await this.mendLocked(sandbox)
      } finally {
        unlock(sandbox)
      }
      if (result !== BUSY) return
      await waitOrGiveUp(this.root, this.id, 'proper-lockfile', this.patience, attempt)
    }
  }

  private async mendLocked({ folder, lock }: LockedSandbox): Promise<typeof BUSY | undefined> {
    const wasReleased = noteHolder(lock, new Date())
    let isDone = false
    try {
      const result = await this.lockStateAndMend(folder)
      isDone = result !== BUSY
      return result
    } finally {
      if (wasReleased || isDone) noteRelease(lock) // Else whoever gets in next shall see what this one saw.
    }
  }

  private async lockStateAndMend(folder: Dir): Promise<typeof BUSY | undefined> {
    const { findings, strangerInside } = lookInside(folder, this.owners)
    if (strangerInside) return BUSY
    const faults = findings.filter(finding => actionOn(finding) !== 'left')
    if (faults.length === 0) return undefined
    // What is in the place of the lock folder would be in everyone's way for ever.
    const blocked = faults.filter(
      ({ code, path }) => code !== 'DEAD_LOCK' && path === folder.displayPath(STATE_LOCK),
    )
    if (blocked.length > 0) await this.move(folder, [STATE_LOCK], blocked)
    const lock = await lockStateFile(folder, { kind: 'delete' })
    if (lock === BUSY) return BUSY
    let isFinished = true
    try {
      isFinished = await this.mend(folder, faults, () => lock.isHeld())
    } finally {
      await lock.release()
    }
    if (!isFinished) this.removeUnfinished(folder, faults)
    return undefined
  }

  /** @returns whether a state is there afterwards, or something that is not ours */
  private async mend(folder: Dir, faults: readonly Finding[], isHeld: () => boolean): Promise<boolean> {
    for (const finding of faults) {
      const name = basename(finding.path)
      if (finding.code === 'LEFTOVER') this.attempt(finding, () => folder.unlink(name))
      if (finding.code === 'WRONG_MODE')
        this.attempt(finding, () => setMode(folder, finding.path, this.owners))
      // Whoever takes the lock takes a dead holder's away; that was us.
      if (finding.code === 'DEAD_LOCK') this.rows.push(row(finding, 'removed'))
    }
    const isUnfinished = faults.some(({ code }) => code === 'UNFINISHED_CREATE')
    if (isUnfinished) sweep(folder)
    const damaged = faults.filter(
      ({ code, path }) => ACTIONS[code] === 'moved' && path !== folder.displayPath(STATE_LOCK),
    )
    if (damaged.length === 0 || !isHeld()) return !isUnfinished
    const names = new Set(damaged.map(({ path }) => basename(path)))
    const withState = names.has(STATE_FILE)
    // The history stays with the state whose it is. The state goes last: killed before that, a repair begins anew.
    await this.move(folder, withState ? [OLD_HISTORY_FILE, HISTORY_FILE, STATE_FILE] : [...names], damaged)
    return !withState && !isUnfinished
  }

  private attempt(finding: Finding, act: () => void): void {
    try {
      act()
      this.rows.push(row(finding, actionOn(finding)))
    } catch (error) {
      this.rows.push(failed(finding, error))
    }
  }

  private async move(
    from: Dir,
    names: readonly string[],
    why: readonly Finding[],
    isStillSo = () => true,
  ): Promise<void> {
    const { root, id, owners, patience } = this
    const { durable } = this.options
    const to = await setAside({ root, id, from, names, why, owners, durable, patience, isStillSo })
    if (to !== undefined) this.rows.push(...why.map(finding => ({ ...row(finding, 'moved'), to })))
  }

  /** The lock file goes with the folder, as after a deletion. */
  private removeUnfinished(folder: Dir, faults: readonly Finding[]): void {
    const finding = faults.find(({ code }) => code === 'UNFINISHED_CREATE')
    removeFolder(folder)
    if (finding === undefined) return
    const isGone = fstatSync(folder.fd).nlink === 0
    this.rows.push(
      isGone ? row(finding, 'removed') : failed(finding, new Error('the folder could not be removed')),
    )
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Through a descriptor, so that it is the mode of what was looked at. */
function setMode(folder: Dir, path: string, owners: Owners): void {
  if (path === folder.path) {
    fchmodSync(folder.fd, FOLDER_MODE)
    return
  }
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const fd = openSync(folder.procPath(basename(path)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile() || !mayChangeMode(stat, owners)) throw new Error('it is not ours alone any more')
    fchmodSync(fd, FILE_MODE)
  } finally {
    closeSync(fd)
  }
}
