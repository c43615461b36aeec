import { fstatSync, lstatSync, type Stats, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sighting } from '../../backend.js'
import { errnoOf, ioError } from '../../errno.js'
import { StateStoreError } from '../../errors.js'
import { isValidId } from '../../sandbox-id.js'
import { HISTORY_FILE, isTemporaryFile, LOCK_FILE, STATE_FILE, STATE_LOCK } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { listIds, readSandbox } from '../read.js'
import { readStateFile } from '../state-file.js'
import { type FolderWatch, ITSELF, identity, watchFolder, watchWhereItWillBe } from './folder-watch.js'
import { Doubts } from './recheck-queue.js'
import { ScanSchedule } from './scan-schedule.js'

/** How long one step of a scan takes, in ms, so that nothing else waits for long. */
const STEP = 2

/** A file that was written less than so many ms ago could be written again without a change of its times. */
const RECENT = 50

/** What is known of one sandbox. */
interface Followed {
  readonly id: string
  readonly stateFile: string
  watch: FolderWatch | undefined
  /** Of the state file when it was last looked at. */
  version: string
  /** Whether the version does not tell enough, so that the next scan is to look for itself. */
  uncertain: boolean
  /** What was last told of it. */
  told: 'nothing' | 'there' | 'gone'
}

/**
 * Follows the state files below a root, or one of them. The kernel's reports are hints, which get lost in a burst; a
 * scan now and then finds what they did not tell. Either only notes an id, once, to be looked at when the next
 * sighting is asked for: whoever asks seldom gets the last state of each, and nothing piles up.
 */
export class Follower {
  closed = false
  private readonly followed = new Map<string, Followed>()
  /** To be looked at. */
  private readonly noted: Set<string>
  private notes: Iterator<string, undefined>
  private readonly doubts = new Doubts({
    lookAgain: id => this.lookAgain(id),
    versionNow: id => versionOf(statOf(this.follow(id).stateFile)),
    found: sighting => this.find(sighting),
  })
  /** What second looks found. */
  private readonly found = new Map<string, Sighting>()
  private readonly schedule = new ScanSchedule()
  private scan: Iterator<void> | undefined
  private listing = false
  private rootWatch: FolderWatch | undefined
  private rootLost = false
  /** False once the system had no watch for a folder, until the next scan. */
  private watchesLeft = true
  private wake: () => void = nothing

  /**
   * @param only the id to follow; undefined for all
   * @throws StateStoreError `IO_ERROR` when the root cannot be listed
   */
  constructor(
    private readonly root: string,
    private readonly only: string | undefined,
  ) {
    if (only === undefined) this.watchRoot()
    else this.follow(only)
    try {
      this.noted = new Set(only === undefined ? listIds(root) : [only])
      this.notes = this.noted.values()
    } catch (error) {
      this.rootWatch?.close()
      throw error
    }
  }

  /** Does the next bit of what there is to do, for a few ms at most; returns what it saw, if anything. */
  next(): Sighting | undefined {
    if (this.closed) return undefined
    if (this.rootLost) this.findRoot()
    this.stepScan()
    this.doubts.resolve()
    for (const [id, sighting] of this.found) {
      this.found.delete(id)
      return this.tell(sighting)
    }
    const id = this.takeNoted()
    return id === undefined ? undefined : this.look(id)
  }

  /** By one iterator for as long as it goes: a new one would begin with all that was taken out at the front. */
  private takeNoted(): string | undefined {
    let next = this.notes.next()
    if (next.done) {
      this.notes = this.noted.values()
      next = this.notes.next()
    }
    if (next.done) return undefined
    this.noted.delete(next.value)
    return next.value
  }

  /** Waits until there is something to do. */
  async wait(): Promise<void> {
    if (this.closed || this.rootLost || this.scan || this.found.size > 0 || this.noted.size > 0) return
    const due = Math.min(this.doubts.due, this.schedule.due) - performance.now()
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, Math.max(due, 0))
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.wake = nothing
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    closeInSteps([this.rootWatch, ...[...this.followed.values()].map(({ watch }) => watch)])
    this.followed.clear()
    this.wake()
  }

  private follow(id: string): Followed {
    let followed = this.followed.get(id)
    if (followed === undefined) {
      const stateFile = join(this.root, id, STATE_FILE)
      followed = { id, stateFile, watch: undefined, version: '', uncertain: false, told: 'nothing' }
      this.followed.set(id, followed)
    }
    return followed
  }

  /** That a sandbox is gone is news only if it was there; but one who follows just this one is told at once. */
  private tell(sighting: Sighting): Sighting | undefined {
    const followed = this.follow(sighting.id)
    const before = followed.told
    followed.told = 'gone' in sighting ? 'gone' : 'there'
    if (followed.told === 'there' || before === 'there') return sighting
    return this.only !== undefined && before === 'nothing' ? sighting : undefined
  }

  private look(id: string): Sighting | undefined {
    let folder: Dir | undefined
    try {
      folder = Dir.open(this.root, id)
      if (folder === undefined) return this.lose(id)
      const followed = this.follow(id)
      if (this.isFirstOfOne(followed)) this.noted.add(id)
      else this.watch(followed, folder)
      const stat = statOf(folder.procPath(STATE_FILE))
      followed.version = versionOf(stat)
      followed.uncertain = stat !== undefined && Date.now() - stat.mtimeMs < RECENT
      const file = readStateFile(folder)
      this.settle(id)
      return this.tell(file === undefined ? { id, gone: true } : { id, state: file.state })
    } catch (error) {
      return this.doubt(id, error)
    } finally {
      folder?.close()
    }
  }

  /** Whoever follows one sandbox may be content with what is there; it is watched, and read again, if not. */
  private isFirstOfOne({ told }: Followed): boolean {
    return this.only !== undefined && told === 'nothing'
  }

  /** There is no such folder. */
  private lose(id: string): Sighting | undefined {
    const followed = this.followed.get(id)
    if (followed === undefined) return undefined
    followed.watch?.close()
    followed.watch = undefined
    followed.version = ''
    this.settle(id)
    const sighting = this.tell({ id, gone: true })
    if (this.only === undefined) this.followed.delete(id)
    else this.needRoot()
    return sighting
  }

  /** A file that cannot be read or understood may be one that is just being written in place: another look decides. */
  private doubt(id: string, error: unknown): Sighting | undefined {
    if (!(error instanceof StateStoreError) && errnoOf(error) === undefined) throw error
    if (this.only === undefined && isOther(join(this.root, id))) return this.lose(id)
    const followed = this.follow(id)
    followed.uncertain = true
    this.doubts.add(id, followed.version)
    if (followed.watch === undefined) this.needRoot()
    return undefined
  }

  private async lookAgain(id: string): Promise<Sighting> {
    try {
      const state = await readSandbox(this.root, id)
      return state === undefined ? { id, gone: true } : { id, state }
    } catch (error) {
      return { id, error: ioError(error, 'read', id, join(this.root, id)) }
    }
  }

  private find(sighting: Sighting | undefined): void {
    if (sighting !== undefined && !this.closed) this.found.set(sighting.id, sighting)
    this.wake()
  }

  /** What was in doubt is not any more. */
  private settle(id: string): void {
    this.doubts.remove(id)
    this.found.delete(id)
  }

  private watch(followed: Followed, folder: Dir): void {
    if (followed.watch?.folder === identity(fstatSync(folder.fd))) return
    followed.watch?.close()
    followed.watch = this.watchesLeft
      ? watchFolder(folder.fd, folder.procPath(ITSELF), name => this.hear(followed, name))
      : undefined
    if (followed.watch === undefined) this.starve()
    else if (this.only !== undefined) this.leaveRoot()
  }

  private hear(followed: Followed, name: string | null): void {
    this.schedule.report()
    if (name !== null && isOurOther(name)) return
    if (name === ITSELF) {
      followed.watch?.close()
      followed.watch = undefined
    }
    this.noted.add(followed.id)
    this.wake()
  }

  private starve(): void {
    this.watchesLeft = false
    this.schedule.starve()
  }

  // The root. Where one sandbox is followed, its folder tells of itself, and the root is watched only without it.

  private needRoot(): void {
    if (this.rootWatch === undefined) this.rootLost = true
  }

  private leaveRoot(): void {
    this.rootWatch?.close()
    this.rootWatch = undefined
  }

  private watchRoot(): void {
    this.leaveRoot()
    this.rootWatch = this.watchesLeft
      ? watchWhereItWillBe(this.root, name => this.hearOfRoot(name))
      : undefined
    if (this.rootWatch === undefined) this.starve()
  }

  private hearOfRoot(name: string | null): void {
    this.schedule.report()
    if (name === null || name === ITSELF) this.rootLost = true
    else if (this.only === undefined ? isValidId(name) : name === this.only) this.noted.add(name)
    this.wake()
  }

  /** What was there or came before the watch began is found by looking. */
  private findRoot(): void {
    this.rootLost = false
    this.watchRoot()
    if (this.only === undefined) this.schedule.hurry()
    else this.noted.add(this.only)
  }

  private isRootWatched(): boolean {
    try {
      return identity(statSync(this.root)) === this.rootWatch?.folder
    } catch {
      return false
    }
  }

  // Scanning

  private stepScan(): void {
    const start = performance.now()
    if (this.scan === undefined) {
      if (start < this.schedule.due) return
      this.schedule.begin()
      this.watchesLeft = true
      this.scan = this.scanning()
    }
    let now = start
    while (this.scan !== undefined && now < start + STEP) {
      if (this.scan.next().done) this.scan = undefined
      now = performance.now()
    }
    this.schedule.spend(now - start)
    if (this.scan === undefined) this.schedule.end()
  }

  private *scanning(): Generator<void, void, undefined> {
    const needsRoot = this.only === undefined || this.followed.get(this.only)?.watch === undefined
    if (needsRoot && !this.isRootWatched()) this.watchRoot()
    if (this.only === undefined) void this.list()
    for (const followed of this.followed.values()) {
      if (followed.watch === undefined) this.watchAgain(followed)
      const version = versionOf(statOf(followed.stateFile))
      if (followed.uncertain || version !== followed.version) this.noted.add(followed.id)
      yield
    }
  }

  private watchAgain(followed: Followed): void {
    try {
      const folder = Dir.open(this.root, followed.id)
      if (folder === undefined) return
      try {
        this.watch(followed, folder)
      } finally {
        folder.close()
      }
    } catch {
      // A look says what is wrong with it.
    }
  }

  /** Notes the ids that are not known. Those that are no more are found by their missing files. */
  private async list(): Promise<void> {
    if (this.listing) return
    this.listing = true
    try {
      for (const name of await readdir(this.root)) {
        if (!this.followed.has(name) && isValidId(name)) this.noted.add(name)
      }
      this.wake()
    } catch {
      // Without a root there are none; when it cannot be read, a look at those that are known says so.
    } finally {
      this.listing = false
    }
  }
}

/** To close one takes some microseconds: of some thousands, the rest is closed when the loop has turned. */
function closeInSteps(watches: (FolderWatch | undefined)[]): void {
  const end = performance.now() + STEP
  while (watches.length > 0 && performance.now() < end) watches.pop()?.close()
  if (watches.length > 0) setImmediate(closeInSteps, watches)
}

/** Undefined also where it cannot be known; a look says why. */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function versionOf(stat: Stats | undefined): string {
  return stat === undefined ? '' : `${stat.ino}-${stat.size}-${stat.mtimeMs}-${stat.ctimeMs}`
}

/** Neither a folder nor, as a listing shows it with its error, a link. */
function isOther(path: string): boolean {
  const stat = statOf(path)
  return stat !== undefined && !stat.isDirectory() && !stat.isSymbolicLink()
}

/** What comes and goes with each change, besides the state file itself. */
function isOurOther(name: string): boolean {
  return name === LOCK_FILE || name === STATE_LOCK || name === HISTORY_FILE || isTemporaryFile(name)
}

function nothing(): void {}
