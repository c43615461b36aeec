import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { isAlive } from '../support/program.js'
import { until } from '../support/wait.js'
import type { Image } from './image.js'

export interface Work {
  /** How many changes each worker makes at once. */
  readonly workers: readonly number[]
  /** The flushes that are taken away from the workers: `file`, `folder`, `root`, `owner`, `aio`. */
  readonly without?: readonly string[]
  /** The store's option. */
  readonly durable?: boolean
}

/** Processes that change the sandboxes below a new root, and log what they were promised. */
export class Workers {
  readonly log: string
  private readonly processes: readonly ChildProcess[]

  /** @param blockLog the log of writes, whose size goes into each line */
  constructor(image: Image, { workers, without = [], durable = true }: Work, blockLog?: string) {
    const root = rootOf(image)
    this.log = join(image.folder, 'workers.log')
    const preloads = ['earlier-boot', ...(without.length === 0 ? [] : ['without-fsync'])].map(program)
    const env = {
      ...process.env,
      NODE_OPTIONS: preloads.map(path => `--import=${path}`).join(' '),
      WITHOUT_FSYNC: without.join(','),
      STORE_ROOT: root,
    }
    this.processes = workers.map((atOnce, n) => {
      const options = JSON.stringify({ durable, atOnce, blockLog })
      const command = [process.execPath, program('worker'), root, this.log, `w${n}`, options]
      const [enter, ...args] = [...image.inside, ...command]
      const worker = spawn(enter, args, { stdio: ['ignore', 'ignore', 'inherit'], env })
      onTestFinished(() => void worker.kill('SIGKILL'))
      return worker
    })
  }

  /** Waits until their log has this many bytes: a change takes about 150. */
  async grow(size: number): Promise<void> {
    const isGrown = () => existsSync(this.log) && statSync(this.log).size > size
    await until('the workers get on with their work', isGrown, 120_000)
  }

  /** Ends them, or waits until they end by themselves, as they must once their filesystem fails. */
  async end(signal?: NodeJS.Signals): Promise<void> {
    const ends = this.processes.map(async worker => {
      if (!isAlive(worker)) return
      const ended = once(worker, 'exit')
      if (signal !== undefined) worker.kill(signal)
      await ended
    })
    await Promise.all(ends)
  }
}

/** The root below which the workers work; its folder is new, too. */
export function rootOf(image: Image): string {
  return join(image.mountPoint, 'new', 'sandboxes')
}

export function program(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url))
}
