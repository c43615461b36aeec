import { fstatSync, lstatSync, opendirSync, readdirSync, type Stats } from 'node:fs'
import { type Finding, type FindingCode, type StateFault, stateFault } from '../../check.js'
import { ioError } from '../../errno.js'
import { MAX_STATE_BYTES } from '../../state/codec.js'
import { firstBadLine } from '../history-line.js'
import * as layout from '../layout.js'
import { isDead, isFromFuture } from '../lock/dot-lock.js'
import type { Dir } from '../posix/dir.js'
import { readRegularFile } from '../posix/regular-file.js'

const { DOT_LOCK, HISTORY_FILE, LOCK_FILE, OLD_HISTORY_FILE, PERSIST_FILE, STATE_FILE, TEMPORARY_FILE } =
  layout

/** @param why what is wrong with what is at the path */
export function finding(
  code: FindingCode,
  path: string,
  why: string,
  repairable: boolean,
  id?: string,
): Finding {
  return { code, ...(id !== undefined && { id }), path, message: `${path}: ${why}`, repairable }
}

/** Whose files may be below a root, by uid. */
export type Owners = ReadonlySet<number>

/** The widest modes that Kata gives to its own files and folders. Ours are narrower: 0600 and 0700. */
const WIDEST_FILE = 0o640
const WIDEST_FOLDER = 0o750

/** How many entries of a folder are looked at. Kata keeps about ten. */
const MOST_ENTRIES = 10_000

const HISTORIES = [HISTORY_FILE, OLD_HISTORY_FILE]
const OURS: ReadonlySet<string> = new Set([STATE_FILE, LOCK_FILE, DOT_LOCK, TEMPORARY_FILE, ...HISTORIES])

/**
 * Inspects a sandbox's folder and everything of ours in it, in a few dozen system calls; changes nothing and waits for
 * nothing. Unless the caller holds the sandbox's lock, what it shows may be the work of a change under way.
 * @throws StateStoreError `IO_ERROR` when something cannot be looked at
 */
export function inspect(
  dir: Dir,
  owners: Owners,
): { findings: readonly Finding[]; isForeignLocked: boolean } {
  try {
    const inspector = new Inspector(dir, owners)
    const isForeignLocked = inspector.inspect()
    return { findings: inspector.findings, isForeignLocked }
  } catch (error) {
    throw ioError(error, 'inspect', dir.id, dir.path)
  }
}

type ContentInspection = (bytes: Uint8Array) => StateFault | undefined

class Inspector {
  readonly findings: Finding[] = []

  constructor(
    private readonly dir: Dir,
    private readonly owners: Owners,
  ) {}

  /** @returns whether another program holds the dot-lock */
  inspect(): boolean {
    const stat = fstatSync(this.dir.fd)
    if (stat.nlink === 0) return false // It was deleted meanwhile.
    const hasState = this.inspectFile(STATE_FILE, stateFault)
    const hasPersist = this.statOf(PERSIST_FILE) !== undefined
    if (hasPersist && !hasState) this.add('FOREIGN_SCHEMA', PERSIST_FILE, "it is of another program's schema")
    if (this.findings.some(({ code }) => code === 'FOREIGN_SCHEMA')) return false
    if (hasPersist)
      this.add('MIXED_SCHEMA', PERSIST_FILE, "another program's schema is beside a state of ours")
    const { hasOurs, hasOthers } = this.inspectNames()
    // A create that is killed at once leaves an empty folder, closed to others. One that is open to them is not ours.
    const isOurs = hasOurs || (!hasOthers && (stat.mode & 0o077) === 0)
    this.inspectMode('.', stat, isOurs)
    this.inspectFile(LOCK_FILE)
    for (const name of HISTORIES) this.inspectFile(name, historyFault)
    const dotLock = this.inspectDotLock()
    const temporary = this.statOf(TEMPORARY_FILE)
    if (temporary?.isDirectory()) {
      this.add('NOT_A_FILE', TEMPORARY_FILE, 'a folder has the name of a temporary file', true)
    }
    if (!hasState && isOurs && !hasOthers && dotLock !== 'foreign') {
      this.add('UNFINISHED_CREATE', '.', 'it holds no state: a create or a delete was killed', true)
      return false // All that it holds goes with it.
    }
    if (!hasState) this.add('UNFINISHED_CREATE', '.', "it holds no state, and may be another program's")
    if (dotLock === 'foreign') return true
    if (temporary?.isDirectory() === false) {
      this.add('LEFTOVER', TEMPORARY_FILE, 'a temporary file of a process that was killed', true)
    }
    if (dotLock === 'dead') this.add('DEAD_LOCK', DOT_LOCK, 'the holder of this lock is dead', true)
    return false
  }

  private add(code: FindingCode, name: string, message: string, repairable = false): void {
    this.findings.push(finding(code, this.dir.displayPath(name), message, repairable, this.dir.id))
  }

  private statOf(name: string): Stats | undefined {
    try {
      return lstatSync(this.dir.procPath(name), { throwIfNoEntry: false })
    } catch (error) {
      throw ioError(error, 'look at', this.dir.id, this.dir.displayPath(name))
    }
  }

  /**
   * @param faultIn looks at the content of a file that has any
   * @returns whether there is something of that name
   */
  private inspectFile(name: string, faultIn?: ContentInspection): boolean {
    const stat = this.statOf(name)
    if (stat === undefined) return false
    const fault = this.faultOf(name, stat, faultIn)
    if (fault !== undefined) {
      this.add(fault.code, name, fault.message, fault.code !== 'FOREIGN_SCHEMA')
      return true
    }
    if (stat.nlink > 1 && name !== STATE_FILE) {
      this.add('HARD_LINK', name, 'it is written in place, and has another name elsewhere')
    }
    this.inspectMode(name, stat)
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

  private inspectMode(name: string, stat: Stats, isOurs = true): void {
    const isDir = stat.isDirectory()
    const [ours, widest] = isDir ? [layout.FOLDER_MODE, WIDEST_FOLDER] : [layout.FILE_MODE, WIDEST_FILE]
    const mode = stat.mode & (isDir ? 0o777 : 0o7777) // Set-group-ID and the sticky bit of a folder let nobody in.
    if ((mode & ~widest) !== 0 || (mode & ours) !== ours) {
      const message = `its mode is ${octal(mode)} and should be ${octal(ours)}`
      this.add('WRONG_MODE', name, message, isOurs && mayChangeMode(stat, this.owners))
    }
    if (this.owners.has(stat.uid)) return
    const why = name === LOCK_FILE ? '; only that user can tell whether it is held, and give it away' : ''
    const message = `it belongs to user ${stat.uid}, not to ${[...this.owners].join(' or ')}${why}`
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
    this.add(code, DOT_LOCK, 'an empty lock folder belongs here', true)
    return undefined
  }

  /** Whether the folder holds names of ours, and others. */
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
    this.add('OVERSIZE', '.', `it holds more than ${MOST_ENTRIES} entries; not all were looked at`)
    return { hasOurs: true, hasOthers: true }
  }
}

function historyFault(bytes: Uint8Array): StateFault | undefined {
  const line = firstBadLine(Buffer.from(bytes).toString('utf8'))
  return line === undefined ? undefined : { code: 'DAMAGED_HISTORY', message: `line ${line} is malformed` }
}

/** A file that has another name elsewhere, or another owner, is not only ours. */
export function mayChangeMode(stat: Stats, owners: Owners): boolean {
  return owners.has(stat.uid) && (stat.isDirectory() || stat.nlink === 1)
}

function isEmpty(path: string): boolean {
  try {
    return readdirSync(path).length === 0
  } catch {
    return true // Gone, or not ours to read.
  }
}

export function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`
}
