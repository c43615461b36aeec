import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LockHolder } from '../../backend.js'
import type { ChangeTrace } from '../../diagnostics.js'
import { StateStoreError } from '../../errors.js'
import { LOCK_FILE } from '../layout.js'
import { Dir } from '../posix/dir.js'
import { describeHolder, findHolder } from './holder.js'
import { kernelLocks } from './kernel-locks.js'

const SHORTEST = 1
const LONGEST = 12

/** After this many attempts, about 0.2 s, a waiter retries every few ms, more often than later ones. */
const OLD = 24
const OLD_STEP = 4

/** How long an old waiter spins when others are blocked in flock(2), in ms, and at every how many attempts. */
const SPIN = 2
const SPIN_EVERY = 4

/**
 * Waits before the next attempt at a lock: at first about 1 ms, then longer, at most 12 ms, so that the lock of a killed
 * holder is taken well within the promised 50 ms; after a long wait less again, so that earlier waiters mostly get the lock
 * first. The random part keeps waiters from retrying in step.
 * @param attempt counted from 0
 * @param left ms until the deadline; no wait ends much later
 */
export async function pause(attempt: number, left: number): Promise<void> {
  const step = attempt < OLD ? Math.min(SHORTEST * 2 ** (attempt >> 1), LONGEST) : OLD_STEP
  await sleep(Math.min(step * (0.5 + Math.random() / 2), Math.max(left, 0)))
}

/** How to wait for locks. */
export interface LockOptions {
  /** In ms. */
  readonly lockTimeout: number
  /** Ends the wait, with its reason. */
  readonly signal?: AbortSignal | undefined
  /** To be completed with how long the change waited, and for which holder. */
  readonly trace?: ChangeTrace | undefined
}

/** The wait of one change for locks that other processes hold. */
export class LockWait {
  private readonly deadline: number
  private attempt = 0
  private since: number | undefined

  /** @param path the path of the sandbox's folder */
  constructor(
    private readonly path: string,
    private readonly id: string,
    private readonly options: LockOptions,
  ) {
    this.deadline = performance.now() + options.lockTimeout
  }

  /** The time until the deadline, in ms. */
  get left(): number {
    return this.deadline - performance.now()
  }

  /** Whether another process held a lock. */
  get wasBlocked(): boolean {
    return this.since !== undefined
  }

  /**
   * How long the next attempt should retry without a pause, in ms. Processes that are blocked in flock(2), as Kata and
   * flock(1) are, wake when the lock is released, and one of them always gets it before a waiter that sleeps between
   * attempts. They need some 20 µs to wake; a spinning waiter is faster. (A thread blocked in flock(2) would wake like
   * them, but could not be interrupted at the deadline, and would delay the exit of the process.)
   */
  get spin(): number {
    if (this.attempt < OLD || this.attempt % SPIN_EVERY !== 0) return 0
    return this.areOthersBlocked() ? SPIN : 0
  }

  private areOthersBlocked(): boolean {
    try {
      const { ino } = statSync(join(this.path, LOCK_FILE))
      return kernelLocks().get(ino)?.isAwaited === true
    } catch {
      return false
    }
  }

  /**
   * Waits a moment, as another process holds a lock.
   * @throws StateStoreError `LOCK_TIMEOUT`, which names the holder, when the time is up
   */
  async backOff(by: LockHolder['lock']): Promise<void> {
    if (this.since === undefined) {
      if (this.options.trace !== undefined)
        this.options.trace.lockWait = { duration: 0, holder: this.holder(by) }
      this.since = performance.now()
    }
    const { left } = this
    if (left <= 0) this.timeOut(by)
    await pause(this.attempt++, left)
    this.options.signal?.throwIfAborted() // No pause is longer than 12 ms.
  }

  /** @throws StateStoreError `LOCK_TIMEOUT`, which names the holder */
  timeOut(by: LockHolder['lock']): never {
    const { path, id } = this
    const holder = describeHolder(this.holder(by))
    const message = `${path} is locked by ${holder}; gave up after ${this.options.lockTimeout / 1000} s`
    throw new StateStoreError('LOCK_TIMEOUT', message, { id, path: join(path, LOCK_FILE) })
  }

  /** Records the wait in the trace. */
  end(): void {
    if (this.since === undefined || this.options.trace?.lockWait === undefined) return
    this.options.trace.lockWait = { ...this.options.trace.lockWait, duration: performance.now() - this.since }
  }

  private holder(lock: LockHolder['lock']): LockHolder {
    let dir: Dir | undefined
    try {
      dir = Dir.open(dirname(this.path), this.id)
    } catch {
      // Then the holder is not known.
    }
    const holder = dir && findHolder(dir, lock)
    dir?.close()
    return holder ?? { lock }
  }
}
