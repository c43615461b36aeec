import { Worker } from 'node:worker_threads'
import { applyChange, type Change } from '../change.js'
import { ioError } from '../errno.js'
import { StateStoreError } from '../errors.js'
import { type ThreadData, thisProcess } from '../process-identity.js'
import { decodeState, encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { BUSY, type ChangeOptions } from './commit.js'
import { type FromThread, fromPlain, type Outcome, type PlainChange, type ToThread } from './disk-protocol.js'
import type { LockedSandbox } from './lock/sandbox-lock.js'

/** Threads at most: with more, ext4's journal gains nothing, and each costs some 5 MB. */
const MOST_THREADS = 4

interface Job {
  readonly sandbox: LockedSandbox
  readonly change: Change
  readonly options: ChangeOptions
  readonly resolve: (state: SandboxState | undefined | typeof BUSY) => void
  readonly reject: (error: unknown) => void
  /** What an update returned, with what is in memory only, or threw. */
  updated?: SandboxState
  thrown?: { readonly error: unknown }
}

/**
 * Runs changes in threads of their own, side by side, so that the event loop does not wait for the disk and one flush
 * serves many. A thread runs one change's system calls one after another; that costs two
 * messages a change, where the asynchronous calls of Node would cost a trip through its thread pool each.
 */
export class DiskThreads {
  private readonly jobs = new Map<number, Job>()
  private readonly waiting: number[] = []
  private readonly threads = new Map<Worker, number | undefined>()
  private readonly ready = new WeakSet<Worker>()
  private lastJob = 0

  /** @param flushed is told, after each change that flushed, how long its longest flush took, in ms */
  constructor(private readonly flushed: (took: number) => void) {}

  run(
    sandbox: LockedSandbox,
    change: Change,
    options: ChangeOptions,
  ): Promise<SandboxState | undefined | typeof BUSY> {
    return new Promise((resolve, reject) => {
      const job = ++this.lastJob
      this.jobs.set(job, { sandbox, change, options, resolve, reject })
      this.waiting.push(job)
      this.next()
    })
  }

  /** Ends the threads; nothing may be under way. */
  async close(): Promise<void> {
    const threads = [...this.threads.keys()]
    this.threads.clear()
    await Promise.all(threads.map(thread => thread.terminate()))
  }

  private next(): void {
    const job = this.waiting[0]
    const task = job === undefined ? undefined : this.jobs.get(job)
    if (job === undefined || task === undefined) return
    let thread: Worker | undefined
    try {
      thread = this.idleThread()
    } catch (error) {
      this.waiting.shift()
      this.jobs.delete(job)
      task.reject(notStarted(task, error))
      return
    }
    if (thread === undefined) return
    this.waiting.shift()
    const { sandbox, change, options } = task
    const { folder, lock } = sandbox
    this.threads.set(thread, job)
    thread.ref()
    thread.postMessage({
      kind: 'change',
      job,
      id: folder.id,
      path: folder.path,
      folderFd: folder.fd,
      lock,
      change: plain(change),
      options,
    } satisfies ToThread)
  }

  private idleThread(): Worker | undefined {
    for (const [thread, job] of this.threads) if (job === undefined) return thread
    return this.threads.size < MOST_THREADS ? this.startThread() : undefined
  }

  private startThread(): Worker {
    const thread = new Worker(new URL('./disk-thread.js', import.meta.url), {
      // The descriptors are the main thread's.
      trackUnmanagedFds: false,
      execArgv: [],
      workerData: { sandboxState: thisProcess() } satisfies ThreadData,
    })
    this.threads.set(thread, undefined)
    thread.on('message', (message: FromThread) => this.receive(thread, message))
    thread.on('error', error => this.lose(thread, error))
    thread.on('exit', () => this.lose(thread, new Error('the thread ended')))
    return thread
  }

  private receive(thread: Worker, message: FromThread): void {
    if (message.kind === 'ready') {
      this.ready.add(thread)
      return
    }
    const job = this.jobs.get(message.job)
    if (job === undefined) return
    if (message.kind === 'ask') {
      thread.postMessage({
        kind: 'answer',
        job: message.job,
        text: update(job, message.text),
      } satisfies ToThread)
      return
    }
    this.jobs.delete(message.job)
    this.threads.set(thread, undefined)
    thread.unref()
    if (message.flush > 0) this.flushed(message.flush)
    settle(job, message)
    this.next()
  }

  private lose(thread: Worker, cause: unknown): void {
    const number = this.threads.get(thread)
    this.threads.delete(thread)
    const job = number === undefined ? undefined : this.jobs.get(number)
    if (number === undefined || job === undefined) return
    this.jobs.delete(number)
    job.reject(this.ready.has(thread) ? ended(job, cause) : notStarted(job, cause))
    this.next()
  }
}

/** For want of memory or descriptors, say. */
function notStarted({ sandbox }: Job, cause: unknown): StateStoreError {
  const { id, path } = sandbox.folder
  return ioError(cause, 'start a thread to change', id, path)
}

function ended({ sandbox }: Job, cause: unknown): StateStoreError {
  const { id, path } = sandbox.folder
  const message = `the thread that was changing ${path} ended, the change may have been made or not`
  return new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause })
}

function plain(change: Change): PlainChange {
  if (change.kind === 'update') return { kind: 'update' }
  return change.kind === 'create' ? { kind: 'create', text: encodeState(change.state) } : change
}

/** Runs the program's function for a thread that holds the sandbox's locks meanwhile. */
function update(job: Job, text: string): string | null {
  try {
    const updated = applyChange(job.change, decodeState(text), job.sandbox.folder.id)
    if (updated === undefined) return null
    job.updated = updated
    return encodeState(updated)
  } catch (error) {
    job.thrown = { error }
    return null
  }
}

function settle(job: Job, outcome: Outcome): void {
  if (outcome.kind === 'busy') job.resolve(BUSY)
  else if (outcome.kind === 'failed') job.reject(job.thrown ? job.thrown.error : fromPlain(outcome.error))
  else if (job.updated !== undefined) job.resolve(job.updated)
  else if (job.change.kind === 'create') job.resolve(job.change.state)
  else job.resolve(outcome.text === undefined ? undefined : decodeState(outcome.text))
}
