import { existsSync } from 'node:fs'
import { StateStoreError } from '../errors.js'
import { isEtcdRoot } from '../root.js'
import { visible } from '../state/show.js'
import type { SandboxStore } from '../store.js'
import { EXIT, failureLine, failureOf, UsageError } from './errors.js'
import { rowJson } from './json.js'
import type { GlobalOptions } from './options.js'
import { Output, type OutputStream } from './output.js'
import { createProgram } from './program.js'
import { Progress } from './progress.js'
import { assertMeant, resolveRoot } from './root.js'
import { type Row, tableLines } from './table.js'

/** The world around a command line; `process` is one. */
export interface Io {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What the commands share in one run. */
export class Cli {
  readonly program = createProgram(this)
  readonly out: Output
  readonly err: Output
  /** The exit status so far. */
  status: number = EXIT.done
  /** The command line that explains the command at hand. */
  help = 'sandbox-state --help'

  constructor(private readonly io: Io) {
    this.out = new Output(io.stdout)
    this.err = new Output(io.stderr, false) // The results are worth having without the messages.
  }

  /** Whether the output is a terminal with a cursor that can be moved. */
  get canDraw(): boolean {
    return this.out.isTerminal && this.io.env.TERM !== 'dumb'
  }

  /** Whether to print in colour: for people who have not said no (https://no-color.org). */
  get colors(): boolean {
    return this.canDraw && !this.io.env.NO_COLOR
  }

  /** The root that the command is asked to work on. */
  get root(): string {
    return resolveRoot(this.program.opts<GlobalOptions>().root, this.io.env)
  }

  /** The root as people read it. A missing one counts as empty, but may be a mistake. */
  get rootWords(): string {
    return `${visible(this.root)}${isMissing(this.root) ? ', which does not exist yet' : ''}`
  }

  /** Says on a terminal that there is no fault; anywhere, that the root is missing: its name may be mistyped. */
  async reportNoFault(): Promise<void> {
    if (this.out.isTerminal) await this.remark(`no fault in ${this.rootWords}`)
    else if (isMissing(this.root)) await this.err.write(`${visible(this.root)} does not exist yet\n`)
  }

  /**
   * Shows on a terminal's stderr how far some long work is.
   * @param what such as `sandboxes checked`, after their number
   */
  async withProgress<T>(what: string, work: (at: (count: number) => void) => Promise<T>): Promise<T> {
    using progress = new Progress(this.err, what, this.err.isTerminal && this.io.env.TERM !== 'dumb')
    return await work(count => progress.at(count))
  }

  /** Prints an array of JSON, or a table. */
  async printRows<T>(format: string, items: readonly T[], headings: string[], rowOf: (item: T) => Row) {
    if (format === 'json') await this.printJson(items)
    else await this.printTable(headings, items.map(rowOf))
  }

  /**
   * Prints an array of JSON, an object a line, one at a time: all of it may be more than fits into memory.
   * @param json an item on one line, with nothing in it that a terminal could obey
   */
  async printJson<T>(items: Iterable<T> | AsyncIterable<T>, json: (item: T) => string = rowJson) {
    let before = '[\n'
    for await (const item of items) {
      await this.out.write(`${before}  ${json(item)}`)
      before = ',\n'
    }
    await this.out.write(before === '[\n' ? '[]\n' : '\n]\n')
  }

  /** Prints no headings without rows, so that a script sees from an empty output that there are none. */
  async printTable(headings: readonly string[], rows: readonly Row[]): Promise<void> {
    if (rows.length > 0) await this.printLines(tableLines([headings, ...rows], this.colors))
  }

  async printLines(lines: readonly string[]): Promise<void> {
    for (const line of lines) await this.out.write(`${line}\n`)
  }

  /** Says something beside the output, on a terminal only: scripts do not want it. */
  async remark(line: string): Promise<void> {
    if (!this.out.isTerminal) return
    await this.out.flush()
    await this.err.write(`${line}\n`)
  }

  /** Says on stderr what went wrong. */
  async report(error: unknown, asJson: boolean): Promise<void> {
    await this.err.write(failureLine(failureOf(error, this.help), asJson))
  }

  /**
   * Opens a store, lends it, and closes it.
   * @param root the one that the command is asked to work on, unless another is given
   */
  async withStore<T>(use: (store: SandboxStore) => Promise<T>, root = this.root): Promise<T> {
    assertMeant(root)
    const lockTimeout = this.program.opts<GlobalOptions>().lockTimeout * 1000
    const etcd =
      isEtcdRoot(root) && (await import('./etcd-environment.js')).etcdOptionsFrom(this.io.env, root)
    const { openStore } = await import('../store.js')
    const store = await openStore(root, { lockTimeout, ...(etcd && { etcd }) }).catch(asUsageError)
    try {
      return await use(store)
    } catch (error) {
      throw withRoot(error, root)
    } finally {
      await store.close()
    }
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export function byPath(one: { readonly path: string }, other: { readonly path: string }): number {
  return one.path < other.path ? -1 : 1
}

function isMissing(root: string): boolean {
  return !isEtcdRoot(root) && !existsSync(root)
}

/** Adds the root to `NOT_FOUND`: most often it is the wrong one. */
function withRoot(error: unknown, root: string): unknown {
  if (!(error instanceof StateStoreError) || error.code !== 'NOT_FOUND' || error.id === undefined)
    return error
  return new StateStoreError(error.code, `${error.message} in ${root}`, { id: error.id, cause: error.cause })
}

/** The store's arguments all come from the command line. */
function asUsageError(error: unknown): never {
  throw error instanceof TypeError ? new UsageError(error.message) : error
}
