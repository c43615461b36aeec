import { fstatSync, lstatSync, opendirSync, readdirSync, type Stats } from 'node:fs'
import { type FindingCode, type StateFault, stateFault } from '../../check.js'
import { ioError } from '../../errno.js'
import { MAX_STATE_BYTES } from '../../state/sandbox-state.js'
import { firstBadLine } from '../history-line.js'
import * as layout from '../layout.js'
import { isDead, isFromFuture } from '../lock/dot-lock.js'
import type { Dir } from '../posix/dir.js'
import { isMountPoint } from '../posix/file-stat.js'
import { readRegularFile } from '../posix/regular-file.js'
import { type Fault, faultAt, type Remedy } from './fault.js'
import type { Trust } from './trust.js'

const { DOT_LOCK, LOCK_FILE, OWNER_FILE, PERSIST_FILE, STATE_FILE, TEMPORARY_FILE } = layout

/** How many entries of a folder are checked. Kata has about ten. */
const MOST_ENTRIES = 10_000

const MIXED = 'Kata 1.11 goes by this file; the state.json beside it may be out of date'

const OURS: ReadonlySet<string> = new Set([STATE_FILE, DOT_LOCK, ...layout.COMPANION_FILES])

/**
 * Inspects a sandbox's folder and all our files in it, in a few dozen system calls; changes nothing and waits for nothing.
 * Unless the caller holds the sandbox's lock, a fault may be due to a change under way.
 * @throws StateStoreError `IO_ERROR` when something cannot be inspected
 */
export function inspect(dir: Dir, trust: Trust): { faults: readonly Fault[]; isForeignLocked: boolean } {
  try {
    const inspector = new Inspector(dir, trust)
    const isForeignLocked = inspector.inspect()
    return { faults: inspector.faults, isForeignLocked }
  } catch (error) {
    throw ioError(error, 'inspect', dir.id, dir.path)
  }
}

type ContentInspection = (bytes: Uint8Array) => StateFault | undefined

class Inspector {
  readonly faults: Fault[] = []
  /** The folder's. */
  private readonly stat: Stats

  constructor(
    private readonly dir: Dir,
    private readonly trust: Trust,
  ) {
    this.stat = fstatSync(dir.fd)
  }

  /** @returns whether another program holds the dot-lock */
  inspect(): boolean {
    const { dir, stat } = this
    if (stat.nlink === 0) return false // It was deleted meanwhile.
    const hasState = this.inspectFile(STATE_FILE, stateFault)
    const hasPersist = this.statOf(PERSIST_FILE) !== undefined
    if (hasPersist && !hasState) this.add('FOREIGN_SCHEMA', PERSIST_FILE, "it is of another program's schema")
    if (this.faults.some(({ code }) => code === 'FOREIGN_SCHEMA')) return false
    if (hasPersist) this.add('MIXED_SCHEMA', PERSIST_FILE, MIXED)
    if (!hasState && isMountPoint(dir.fd)) return false // Not the remains of a create or delete of ours.
    const { hasOurs, hasOthers } = this.inspectNames()
    // A create that is killed at once leaves an empty folder, closed to others. An empty one open to others is not ours.
    const isOurs = hasOurs || (!hasOthers && (stat.mode & 0o077) === 0)
    this.inspectMode('.', stat, this.trust.faultyBitsOfFolder(dir, stat), isOurs)
    this.inspectFile(LOCK_FILE)
    this.inspectFile(OWNER_FILE)
    for (const name of layout.HISTORY_FILES) this.inspectFile(name, historyFault)
    const dotLock = this.inspectDotLock()
    const temporary = this.statOf(TEMPORARY_FILE)
    if (temporary?.isDirectory()) {
      this.add('NOT_A_FILE', TEMPORARY_FILE, 'a folder has the name of a temporary file')
    }
    if (!hasState && isOurs && !hasOthers && dotLock !== 'foreign') {
      this.add('UNFINISHED_CREATE', '.', 'it holds no state: a create or a delete was killed')
      return false // Its content goes with it.
    }
    if (!hasState)
      this.add('UNFINISHED_CREATE', '.', 'it holds no state; perhaps another program made it', 'left')
    if (dotLock === 'foreign') return true
    if (temporary?.isDirectory() === false) {
      this.add('LEFTOVER', TEMPORARY_FILE, 'a temporary file of a process that was killed')
    }
    if (dotLock === 'dead') this.add('DEAD_LOCK', DOT_LOCK, 'the holder of this lock is dead')
    return false
  }

  private add(code: FindingCode, name: string, why: string, remedy?: Remedy): void {
    this.faults.push(faultAt(this.dir.displayPath(name), code, why, { id: this.dir.id, remedy }))
  }

  private statOf(name: string): Stats | undefined {
    try {
      return lstatSync(this.dir.procPath(name), { throwIfNoEntry: false })
    } catch (error) {
      throw ioError(error, 'look at', this.dir.id, this.dir.displayPath(name))
    }
  }

  /**
   * @param faultIn checks the content of a file that is not empty
   * @returns whether the name exists
   */
  private inspectFile(name: string, faultIn?: ContentInspection): boolean {
    const stat = this.statOf(name)
    if (stat === undefined) return false
    const fault = this.faultOf(name, stat, faultIn)
    if (fault !== undefined) {
      this.add(fault.code, name, fault.message)
      return true
    }
    if (stat.nlink > 1 && name !== STATE_FILE) {
      this.add('HARD_LINK', name, 'it is written in place, and has another name elsewhere')
    }
    this.inspectMode(name, stat, this.trust.faultyBitsOfFile(stat, this.stat))
    return true
  }

  private faultOf(name: string, stat: Stats, faultIn?: ContentInspection): StateFault | undefined {
    if (stat.isSymbolicLink()) return { code: 'SYMLINK', message: 'a symbolic link is where a file belongs' }
    if (!stat.isFile()) return { code: 'NOT_A_FILE', message: 'it is not a regular file' }
    if (faultIn === undefined) return undefined
    if (stat.size > MAX_STATE_BYTES) {
      return { code: 'OVERSIZE', message: `it is larger than ${MAX_STATE_BYTES} bytes` }
    }
    const file = readRegularFile(this.dir, name, MAX_STATE_BYTES)
    return file && faultIn(file.bytes)
  }

  private inspectMode(name: string, stat: Stats, faultyBits: number, isOurs = true): void {
    if (faultyBits !== 0) {
      const [mode, right] = stat.isDirectory() ? [0o777, layout.FOLDER_MODE] : [0o7777, layout.FILE_MODE]
      const why = `its mode is ${octal(stat.mode & mode)} and should be ${octal(right)}`
      this.add('WRONG_MODE', name, why, isOurs && this.trust.mayChangeMode(stat) ? 'chmod' : 'left')
    }
    const { uids } = this.trust
    if (uids.has(stat.uid)) return
    const why = name === LOCK_FILE ? '; only that user can tell whether it is held, and give it away' : ''
    const message = `it belongs to user ${stat.uid}, not to ${[...uids].join(' or ')}${why}`
    this.add('WRONG_OWNER', name, message)
  }

  private inspectDotLock(): 'dead' | 'foreign' | undefined {
    const stat = this.statOf(DOT_LOCK)
    if (stat === undefined) return undefined
    if (stat.isDirectory() && !isDead(stat)) {
      const advice = 'remove it if no program has the sandbox in use'
      if (isFromFuture(stat))
        this.add('FUTURE_LOCK', DOT_LOCK, `another program's lock, from the future: ${advice}`)
      return 'foreign'
    }
    if (stat.isDirectory() && isEmpty(this.dir.procPath(DOT_LOCK))) return 'dead'
    const code = stat.isSymbolicLink() ? 'SYMLINK' : 'NOT_A_FOLDER'
    this.add(code, DOT_LOCK, 'an empty lock folder belongs here')
    return undefined
  }

  /** Whether the folder has names of ours, and others. */
  private inspectNames(): { hasOurs: boolean; hasOthers: boolean } {
    let hasOurs = false
    let hasOthers = false
    const entries = opendirSync(this.dir.procPath('.'), { bufferSize: 128 })
    try {
      for (let count = 0; count < MOST_ENTRIES; count++) {
        const entry = entries.readSync()
        if (entry === null) return { hasOurs, hasOthers }
        if (OURS.has(entry.name)) hasOurs = true
        else hasOthers = true
      }
    } finally {
      entries.closeSync()
    }
    this.add('OVERSIZE', '.', `it holds more than ${MOST_ENTRIES} entries; not all were looked at`, 'left')
    return { hasOurs: true, hasOthers: true }
  }
}

function historyFault(bytes: Uint8Array): StateFault | undefined {
  const line = firstBadLine(Buffer.from(bytes).toString('utf8'))
  return line === undefined ? undefined : { code: 'DAMAGED_HISTORY', message: `line ${line} is malformed` }
}

function isEmpty(path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return true // It was removed, or we may not read it.
  }
}

export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`
}
