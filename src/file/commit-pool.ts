import { fsync, fsyncSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import type { Apply } from '../backend.js'
import { StateStoreError } from '../errors.js'
import { type Attempt, attempt, type Request, type Steps, WAITING } from './commit.js'
import { fromPlainError, fromPlainState, toPlainState } from './commit-messages.js'
import { CommitWorker } from './commit-worker.js'
import { isMemoryFilesystem } from './posix/filesystem.js'

/** If a flush takes longer than this, in ms, changes go to the thread: on the spot the event loop waits for two flushes. */
const LONGEST_FLUSH = 2

/** How long to make changes on the spot after the thread could not be started, in ms. */
const NEXT_START = 10_000

/**
 * Drives changes. A change is made on the spot, in the caller's thread, if nothing must be flushed (as on a filesystem in
 * memory), or if it is alone and the last flush took less than 2 ms. Otherwise it is made in the commit thread, together
 * with the others, so that the event loop does not wait for the disk.
 *
 * A worker thread of the program has no commit thread: the program may terminate its worker at any moment, and a thread
 * that is terminated while it loads koffi aborts the process. There Node's thread pool flushes.
 */
export class CommitPool {
  private lastFlush = 0
  private inMemory: boolean | undefined
  private usesThread = false

  constructor(private readonly root: string) {}

  /** @param isAlone whether no other change of this store is under way */
  attempt(id: string, request: Request, apply: Apply, isAlone: boolean): Attempt | Promise<Attempt> {
    const isQuick = !request.durable || this.isInMemory() || (isAlone && this.lastFlush < LONGEST_FLUSH)
    if (!isQuick && !isMainThread) return this.inWorker(id, request, apply)
    const worker = isQuick ? undefined : this.worker()
    return worker === undefined
      ? this.onTheSpot(id, request, apply)
      : this.inThread(worker, id, request, apply)
  }

  private steps(id: string, request: Request, apply: Apply): Steps<Attempt> {
    // biome-ignore lint/correctness/useYield: the rules are at hand
    return attempt(this.root, id, request, function* (current, revision) {
      return apply(current, revision)
    })
  }

  private async inWorker(id: string, request: Request, apply: Apply): Promise<Attempt> {
    const steps = this.steps(id, request, apply)
    let step = steps.next()
    while (!step.done) {
      try {
        if (step.value !== WAITING) await flush(step.value)
        step = steps.next()
      } catch (error) {
        step = steps.throw(error)
      }
    }
    return step.value
  }

  private onTheSpot(id: string, request: Request, apply: Apply): Attempt {
    const steps = this.steps(id, request, apply)
    let longest = 0
    let step = steps.next()
    while (!step.done) {
      const start = performance.now()
      try {
        if (step.value !== WAITING) fsyncSync(step.value)
        longest = Math.max(longest, performance.now() - start)
        step = steps.next()
      } catch (error) {
        step = steps.throw(error)
      }
    }
    if (longest > 0) this.lastFlush = longest
    return step.value
  }

  private async inThread(worker: CommitWorker, id: string, request: Request, apply: Apply): Promise<Attempt> {
    const job = worker.begin(this.root, id, request)
    let refusal: unknown
    for (;;) {
      const event = await job.next()
      switch (event.kind) {
        case 'rules':
          try {
            const next = apply(event.current && fromPlainState(event.current), event.revision)
            job.answer(next && toPlainState(next))
          } catch (error) {
            refusal = error
            job.refuse()
          }
          break
        case 'refused':
          throw refusal
        case 'failed':
          throw fromPlainError(event.error)
        case 'ended':
          if (event.flush > 0) this.lastFlush = event.flush
          return event.attempt
        case 'died':
          if (!event.begun) {
            notBefore = performance.now() + NEXT_START
            return this.onTheSpot(id, request, apply)
          }
          throw this.unknownOutcome(id, event.cause)
      }
    }
  }

  private unknownOutcome(id: string, cause: unknown): StateStoreError {
    const path = join(this.root, id)
    const message = `the thread that was changing ${path} ended, the change may have been made or not`
    return new StateStoreError('OUTCOME_UNKNOWN', message, { id, path, cause })
  }

  private isInMemory(): boolean {
    try {
      this.inMemory ??= isMemoryFilesystem(statfsSync(this.root).type)
    } catch {
      // The root may not exist yet. What is safe on a disk is safe everywhere.
    }
    return this.inMemory ?? false
  }

  /** The thread, started if need be; undefined when it cannot start: without memory, in a deleted folder, in a bundle. */
  private worker(): CommitWorker | undefined {
    if (shared?.isAlive !== true) {
      if (performance.now() < notBefore) return undefined
      try {
        shared = new CommitWorker()
      } catch {
        notBefore = performance.now() + NEXT_START
        return undefined
      }
    }
    if (!this.usesThread) users++
    this.usesThread = true
    return shared
  }

  /** Ends the thread with the last store that used it; nothing may be under way. */
  async close(): Promise<void> {
    if (!this.usesThread) return
    this.usesThread = false
    if (--users > 0) return
    const worker = shared
    shared = undefined
    await worker?.end()
  }
}

const flush = promisify(fsync)

/** The thread of this process, and the number of stores that use it. */
let shared: CommitWorker | undefined
let users = 0
/** When the thread may be started again, on the clock of `performance.now()`. */
let notBefore = 0
