import { fstatSync, lstatSync, readdirSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { onAbort } from '../../abort.js'
import type { Observation } from '../../backend.js'
import { ioError } from '../../errno.js'
import { isUnreadable } from '../../errors.js'
import { isValidId } from '../../sandbox-id.js'
import { COMPANION_FILES, DOT_LOCK, isTemporaryFile, STATE_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { listIds } from '../read.js'
import { readStateFile } from '../state-file.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'
import { type FolderWatch, ITSELF, identity, watchFolder, watchPath } from './folder-watch.js'
import { RecheckQueue } from './recheck-queue.js'
import { ScanSchedule } from './scan-schedule.js'

/** The longest tick of a filesystem's clock, in ms: within one, a file may be rewritten without a change of its times. */
const TICK = 50
/** Closing a watch takes some microseconds: at most this many are closed in one turn of the event loop. */
const CLOSED_AT_ONCE = 100

interface Sandbox {
  readonly id: string
  watch: FolderWatch | undefined
  /** The state file's version when it was last read; undefined if the file may have become readable without a change. */
  version: string | undefined
}

/**
 * Observes the sandboxes below a root, whichever program writes them; see {@link Backend.watch}. It holds one watch of the
 * kernel per sandbox, until the signal, also while nobody asks for the next observation.
 * @throws StateStoreError `IO_ERROR` when the root cannot be listed at the beginning
 */
export async function* watchFiles(
  root: string,
  id: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Observation, void, undefined> {
  if (signal.aborted) return
  const watcher = new Watcher(root, id)
  const unsubscribe = onAbort(signal, () => watcher.close())
  try {
    yield* watcher.observations()
  } finally {
    unsubscribe()
    watcher.close()
  }
}

/**
 * Watches the state files below a root, or one of them. The kernel's events are hints, which get lost in a burst; periodic
 * scans find what they missed. Both only mark an id as pending; it is read when the next observation is requested. So a
 * slow consumer gets the latest state of each sandbox, and nothing piles up.
 */
class Watcher {
  private closed = false
  private readonly sandboxes = new Map<string, Sandbox>()
  /** The ids to read. */
  private readonly pending = new Set<string>()
  private readonly rechecks: RecheckQueue
  private readonly schedule = new ScanSchedule(() => this.scan())
  private rootWatch: FolderWatch | undefined
  /** False once the system has refused a watch, until the next scan. */
  private watchesLeft = true
  private wake: () => void = () => {}

  /** @param only the id to watch; undefined for all */
  constructor(
    private readonly root: string,
    private readonly only: string | undefined,
  ) {
    this.rechecks = new RecheckQueue(root, id => this.markPending(id))
  }

  async *observations(): AsyncGenerator<Observation, void, undefined> {
    if (this.only === undefined) this.watchRoot()
    for (const id of this.only === undefined ? listIds(this.root) : [this.only]) this.markPending(id)
    while (!this.closed) {
      // Also visits ids that are added meanwhile.
      for (const id of this.pending) {
        this.pending.delete(id)
        const observation = this.observe(id)
        if (observation !== undefined) yield observation
        // The kernel's events arrive with the turns of the event loop.
        if (sliceExpired()) await yieldToEventLoop()
        if (this.closed) return
      }
      await new Promise<void>(resolve => {
        this.wake = resolve
      })
    }
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.schedule.close()
    this.rechecks.clear()
    this.rootWatch?.close()
    closeInTurns([...this.sandboxes.values()].flatMap(({ watch }) => watch ?? []))
    this.wake()
  }

  private markPending(id: string): void {
    this.pending.add(id)
    this.wake()
  }

  private sandbox(id: string): Sandbox {
    const sandbox = this.sandboxes.get(id) ?? { id, watch: undefined, version: '' }
    this.sandboxes.set(id, sandbox)
    return sandbox
  }

  /** Reads a sandbox; undefined while rechecks have to confirm that it cannot be read. */
  private observe(id: string): Observation | undefined {
    const sandbox = this.sandbox(id)
    try {
      return this.read(sandbox)
    } catch (cause) {
      if (this.only === undefined && !this.isFolderOrLink(id)) return this.dropSandbox(sandbox)
      const unconfirmed = ioError(cause, 'read', id, join(this.root, id))
      if (!isUnreadable(unconfirmed)) sandbox.version = undefined
      const error = this.rechecks.add(id, unconfirmed)
      return error && { id, error }
    }
  }

  private read(sandbox: Sandbox): Observation {
    const { id } = sandbox
    sandbox.version = this.versionOf(id)
    const dir = Dir.open(this.root, id)
    if (dir === undefined) return this.dropSandbox(sandbox)
    try {
      this.watch(sandbox, dir)
      const file = readStateFile(dir)
      this.rechecks.remove(id)
      return file === undefined ? { id, deleted: true } : { id, state: file.state }
    } finally {
      dir.close()
    }
  }

  /** Its folder does not exist. A new one is reported by the watch on the root, or, if only this id is watched, by its own. */
  private dropSandbox(sandbox: Sandbox): Observation {
    const { id } = sandbox
    this.rechecks.remove(id)
    if (this.only !== undefined) this.watch(sandbox, undefined)
    else {
      sandbox.watch?.close()
      this.sandboxes.delete(id)
    }
    return { id, deleted: true }
  }

  /** Watches a sandbox's folder, or where it will be. */
  private watch(sandbox: Sandbox, dir: Dir | undefined): void {
    const folder = dir && identity(fstatSync(dir.fd))
    if (sandbox.watch !== undefined && sandbox.watch.folder === folder) return
    sandbox.watch?.close()
    sandbox.watch = undefined
    if (!this.watchesLeft) return
    const onFsEvent = (name: string | null) => this.onFsEvent(sandbox, name)
    sandbox.watch = dir
      ? watchFolder(dir.procPath(ITSELF), onFsEvent, folder)
      : watchPath(join(this.root, sandbox.id), onFsEvent)
    if (sandbox.watch === undefined) this.watchesExhausted()
    else if (dir === undefined) this.markPending(sandbox.id) // It may have been created before the watch.
  }

  private onFsEvent(sandbox: Sandbox, name: string | null): void {
    if (name !== null && isOurOther(name)) return
    if (name === ITSELF) {
      sandbox.watch?.close()
      sandbox.watch = undefined
    }
    this.markPending(sandbox.id)
  }

  private watchRoot(): void {
    this.rootWatch?.close()
    this.rootWatch = watchPath(this.root, name => this.onRootEvent(name))
    if (this.rootWatch === undefined) this.watchesExhausted()
  }

  private onRootEvent(name: string | null): void {
    if (name === null || name === ITSELF) {
      this.watchRoot()
      this.schedule.scanSoon()
    } else if (isValidId(name)) this.markPending(name)
  }

  /** Until watches are available again, only scans notice a change. */
  private watchesExhausted(): void {
    this.watchesLeft = false
    this.schedule.scanSoon()
  }

  private *scan(): Generator<void, void, undefined> {
    this.watchesLeft = true
    if (this.only === undefined) {
      this.watchRoot() // It may be another folder by now.
      for (const name of namesIn(this.root)) {
        if (!this.sandboxes.has(name) && isValidId(name) && this.isFolderOrLink(name)) this.markPending(name)
        yield
      }
    }
    for (const sandbox of this.sandboxes.values()) {
      if (this.hasNews(sandbox)) this.markPending(sandbox.id)
      yield
    }
  }

  /** If the version is not enough, or a watch is missing, reads the sandbox right here, at the scan's expense. */
  private hasNews({ id, version, watch }: Sandbox): boolean {
    const isToRead = version === undefined || (watch === undefined && this.watchesLeft)
    if (!isToRead) return this.versionOf(id) !== version
    const observation = this.observe(id)
    return observation !== undefined && !('error' in observation)
  }

  /**
   * Changes with the state file. A file so young that another write may leave its times unchanged has another version than
   * later.
   */
  private versionOf(id: string): string {
    const stat = statOf(`${this.root}/${id}/${STATE_FILE}`)
    if (stat === undefined) return ''
    const { ino, size, mtimeMs, ctimeMs } = stat
    return `${ino}-${size}-${mtimeMs}-${ctimeMs}${Date.now() - ctimeMs < TICK ? '-young' : ''}`
  }

  /** Whether a list shows it: folders do, and links with an error. True if unknown: reading it reports why. */
  private isFolderOrLink(id: string): boolean {
    const stat = statOf(join(this.root, id))
    return stat === undefined || stat.isDirectory() || stat.isSymbolicLink()
  }
}

/** Undefined also if it fails; reading the sandbox reports why. */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return [] // Reading the known sandboxes reports why.
  }
}

/** Files that change with each change or owner, other than the state file. */
function isOurOther(name: string): boolean {
  return name === DOT_LOCK || COMPANION_FILES.has(name) || isTemporaryFile(name)
}

function closeInTurns(watches: FolderWatch[]): void {
  for (const watch of watches.splice(0, CLOSED_AT_ONCE)) watch.close()
  if (watches.length > 0) setImmediate(closeInTurns, watches)
}
