import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { SandboxState } from '../state/sandbox-state.js'
import { type Attempt, attempt, type Rules, type Steps, WAITING } from './commit.js'
import {
  type FromThread,
  fromPlainState,
  type ToThread,
  toPlainError,
  toPlainState,
} from './commit-messages.js'
import type { CommitThreadData } from './commit-worker.js'
import { flushAll } from './posix/flush-all.js'

// The thread that waits for the disk in place of the program: see commit-pool.ts. It advances every change to its next
// flush, flushes them all at once, and goes on. Changes that arrive meanwhile join the next round.

const port = parentPort
if (port === null) throw new Error('this module is the body of a worker thread')
const { ended } = workerData as CommitThreadData

/** A change under way. */
interface Job {
  readonly job: number
  readonly steps: Steps<Attempt>
  /** The error of its flush, to be thrown where the change waits for it. */
  failure?: { readonly error: unknown }
  answer?: ToThread
  /** Its longest flush, in ms. */
  flush: number
}

type AttemptMessage = Extract<ToThread, { kind: 'attempt' }>

/** A flush that a change waits for. */
interface Flush {
  readonly job: Job
  readonly fd: number
}

/** The most changes under way at a time: each has three or four files open. */
const MOST_JOBS = 128

/** Thrown into a change whose rules threw in the program's thread, so that it ends and releases its locks. */
const REFUSED = Symbol('refused')

const jobs = new Map<number, Job>()
/** The jobs that can go on. */
const ready: Job[] = []
/** The attempts that have not begun. */
const waiting: AttemptMessage[] = []
let events: FromThread[] = []

port.postMessage('ready')
port.on('message', (messages: readonly ToThread[] | 'end') => {
  if (messages === 'end') {
    port.close()
    return
  }
  receive(messages)
  for (let next = takeReady(); next.length > 0; next = takeReady()) {
    const flushes = advanceAll(next)
    if (events.length > 0) port.postMessage(events)
    events = []
    flush(flushes)
    for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port)) {
      if (more.message === 'end') port.close()
      else receive(more.message)
    }
  }
})

// The program's exit waits for this: a thread that is terminated while koffi is loaded can abort the process.
process.once('exit', () => {
  Atomics.store(ended, 0, 1)
  Atomics.notify(ended, 0)
})

function receive(messages: readonly ToThread[]): void {
  for (const message of messages) {
    if (message.kind === 'attempt') waiting.push(message)
    else {
      const job = jobs.get(message.job)
      if (job === undefined) continue
      job.answer = message
      ready.push(job)
    }
  }
}

function takeReady(): Job[] {
  for (const message of waiting.splice(0, MOST_JOBS - jobs.size)) start(message)
  return ready.splice(0)
}

function start({ job, root, id, request }: AttemptMessage): void {
  const rules: Rules = (current, revision) => askProgram(started, current, revision)
  const started: Job = { job, steps: attempt(root, id, request, rules), flush: 0 }
  jobs.set(job, started)
  ready.push(started)
}

/** Has the rules applied: they are the program's own functions, and run in its thread. */
function* askProgram(
  job: Job,
  current: SandboxState | undefined,
  revision: string | undefined,
): Steps<SandboxState | undefined> {
  events.push({ kind: 'rules', job: job.job, current: current && toPlainState(current), revision })
  yield WAITING
  if (job.answer?.kind !== 'next') throw REFUSED
  return job.answer.next && fromPlainState(job.answer.next)
}

/** Advances each change by one step; returns the flushes that they wait for. */
function advanceAll(next: readonly Job[]): Flush[] {
  return next.flatMap(job => {
    const fd = advance(job)
    return typeof fd === 'number' ? [{ job, fd }] : []
  })
}

/** Advances a change by one step; returns the descriptor to flush then, if any. */
function advance(job: Job): number | undefined {
  const { failure } = job
  delete job.failure
  try {
    const step = failure ? job.steps.throw(failure.error) : job.steps.next()
    if (step.done) end(job, { kind: 'ended', job: job.job, attempt: step.value, flush: job.flush })
    else if (step.value !== WAITING) return step.value
  } catch (error) {
    const { job: number } = job
    end(
      job,
      error === REFUSED
        ? { kind: 'refused', job: number }
        : { kind: 'failed', job: number, error: toPlainError(error) },
    )
  }
  return undefined
}

function end({ job }: Job, event: FromThread): void {
  jobs.delete(job)
  events.push(event)
}

function flush(flushes: readonly Flush[]): void {
  const start = performance.now()
  const failures = flushAll(flushes.map(({ fd }) => fd))
  const duration = performance.now() - start
  for (const [i, { job }] of flushes.entries()) {
    const error = failures[i]
    if (error !== undefined) job.failure = { error }
    job.flush = Math.max(job.flush, duration)
    ready.push(job)
  }
}
