import { Worker } from 'node:worker_threads'
import { type ThreadData, thisProcess } from '../process-identity.js'
import type { Request } from './commit.js'
import type { FromThread, PlainState, ToThread } from './commit-messages.js'

/** The data that the commit thread starts with. */
export interface CommitThreadData extends ThreadData {
  /** Set to 1 when the thread has ended. */
  readonly ended: Int32Array
}

/** An event of a job: a message from the thread, or the thread's death. */
type JobEvent = FromThread | { readonly kind: 'died'; readonly cause: unknown; readonly begun: boolean }

/** The commit thread, as the program's thread sees it. It serves all stores of a process. */
export class CommitWorker {
  private readonly worker: Worker
  private readonly ended = new Int32Array(new SharedArrayBuffer(4))
  private readonly jobs = new Map<number, Job>()
  private outgoing: ToThread[] = []
  private lastJob = 0
  private isReady = false
  private readonly exit: Promise<void>
  isAlive = true

  /** @throws when no thread can be started */
  constructor() {
    this.worker = new Worker(new URL('./commit-thread.js', import.meta.url), {
      execArgv: [],
      workerData: { sandboxState: thisProcess(), ended: this.ended } satisfies CommitThreadData,
    })
    this.worker.unref()
    this.worker.on('message', (message: readonly FromThread[] | 'ready') => {
      if (message === 'ready') this.isReady = true
      else for (const event of message) this.settle(event)
    })
    let cause: unknown = new Error('the thread ended')
    this.worker.on('error', error => {
      cause = error
      this.isAlive = false
    })
    this.exit = new Promise(resolve => {
      this.worker.on('exit', () => {
        this.die(cause) // Not before: only now are its files closed, and with them its locks released.
        resolve()
      })
    })
    process.once('exit', this.endAtExit)
  }

  /** Begins an attempt at a change; a batch of them crosses as one message. */
  begin(root: string, id: string, request: Request): Job {
    const job = new Job(++this.lastJob, message => this.send(message))
    if (this.jobs.size === 0) this.worker.ref()
    this.jobs.set(job.number, job)
    this.send({ kind: 'attempt', job: job.number, root, id, request })
    return job
  }

  /** Lets the thread end; nothing may be under way. */
  async end(): Promise<void> {
    if (!this.isAlive) return
    this.worker.ref()
    this.worker.postMessage('end')
    await this.exit
  }

  private send(message: ToThread): void {
    if (this.outgoing.push(message) > 1) return
    queueMicrotask(() => {
      this.worker.postMessage(this.outgoing)
      this.outgoing = []
    })
  }

  private settle(event: FromThread): void {
    const job = this.jobs.get(event.job)
    if (event.kind !== 'rules') this.forget(event.job)
    job?.receive(event)
  }

  private forget(job: number): void {
    this.jobs.delete(job)
    if (this.jobs.size === 0) this.worker.unref()
  }

  private die(cause: unknown): void {
    this.isAlive = false
    process.off('exit', this.endAtExit)
    for (const job of this.jobs.values()) job.receive({ kind: 'died', cause, begun: this.isReady })
    this.jobs.clear()
  }

  /** A thread that Node terminates while koffi is loaded can abort the process: let it end before. */
  private readonly endAtExit = () => {
    this.worker.postMessage('end')
    Atomics.wait(this.ended, 0, 0, LONGEST_END)
  }
}

/** How long the exit of a process waits for the thread, in ms; it may be in the middle of a flush. */
const LONGEST_END = 1_000

/** An attempt at a change that the thread makes. */
class Job {
  private readonly received: JobEvent[] = []
  private wake: ((event: JobEvent) => void) | undefined

  constructor(
    readonly number: number,
    private readonly send: (message: ToThread) => void,
  ) {}

  /** The next event. Code that awaits it goes on in its own async context, not in that of the thread's messages. */
  next(): Promise<JobEvent> {
    const event = this.received.shift()
    return event === undefined ? new Promise(resolve => (this.wake = resolve)) : Promise.resolve(event)
  }

  receive(event: JobEvent): void {
    if (this.wake === undefined) this.received.push(event)
    else this.wake(event)
    this.wake = undefined
  }

  answer(next: PlainState | undefined): void {
    this.send({ kind: 'next', job: this.number, next })
  }

  refuse(): void {
    this.send({ kind: 'refuse', job: this.number })
  }
}
