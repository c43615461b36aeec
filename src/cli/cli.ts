import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { StateStoreError } from '../errors.js'
import { isEtcdRoot } from '../root.js'
import { visible } from '../state/show.js'
import type { SandboxStore, StoreOptions } from '../store.js'
import { EXIT, UsageError } from './errors.js'
import { jsonRows } from './json.js'
import type { GlobalOptions, RowsFormat } from './options.js'
import { Output, type OutputStream } from './output.js'
import { Progress } from './progress.js'
import { assertExpanded, resolveRoot } from './root.js'
import { type Row, tableLines } from './table.js'

/** The world around a command line; `process` is one. */
export interface Io {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What the commands share in one run. */
export class Cli {
  readonly out: Output
  readonly err: Output
  /** The exit status so far. */
  status: number = EXIT.done
  /** The command line that explains the command at hand. */
  help = 'sandbox-state --help'

  constructor(private readonly io: Io) {
    this.out = new Output(io.stdout)
    this.err = new Output(io.stderr)
  }

  /** Whether the output is a terminal with a cursor that can be moved. */
  get canDraw(): boolean {
    return this.out.isTerminal && this.io.env.TERM !== 'dumb'
  }

  /** Whether to print in colour: for people who have not said no (https://no-color.org). */
  get colors(): boolean {
    return this.canDraw && !this.io.env.NO_COLOR
  }

  /**
   * Shows on a terminal's stderr how far some long work is, until it is disposed of.
   * @param what such as `sandboxes checked`, after their number
   */
  progress(what: string): Progress {
    return new Progress(this.err, what, this.err.isTerminal && this.io.env.TERM !== 'dumb')
  }

  /** The root that a command is asked to work on. */
  root(command: Command): string {
    return resolveRoot(command.optsWithGlobals<GlobalOptions>().root, this.io.env)
  }

  /** The root as people read it. A missing one counts as empty, but may be a mistake. */
  rootWords(command: Command): string {
    const root = this.root(command)
    return `${visible(root)}${isMissing(root) ? ', which does not exist yet' : ''}`
  }

  /** A script that finds no fault in a missing root has perhaps mistyped it. */
  async warnOfMissingRoot(command: Command): Promise<void> {
    const root = this.root(command)
    if (!this.out.isTerminal && isMissing(root)) await this.err.write(`${visible(root)} does not exist yet\n`)
  }

  /** Prints an array of JSON, or a table. */
  async printRows<T>(
    format: RowsFormat,
    items: readonly T[],
    headings: readonly string[],
    rowOf: (item: T) => Row,
  ): Promise<void> {
    if (format === 'json') await this.out.write(jsonRows(items))
    else await this.printTable(headings, items.map(rowOf))
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

  /**
   * Opens a store, lends it, and closes it.
   * @param root the one that the command is asked to work on, unless another is given
   */
  async withStore<T>(
    command: Command,
    use: (store: SandboxStore) => Promise<T>,
    root = this.root(command),
  ): Promise<T> {
    assertExpanded(root)
    const { lockTimeout } = command.optsWithGlobals<GlobalOptions>()
    const { openStore } = await import('../store.js')
    const options = { lockTimeout: lockTimeout * 1000, ...(await etcdOption(root, this.io.env)) }
    const store = await openStore(root, options).catch(asUsageError)
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

/** Users and certificates of etcd come from the environment: everybody on the machine can read a command line. */
async function etcdOption(root: string, env: Io['env']): Promise<StoreOptions> {
  if (!isEtcdRoot(root)) return {}
  const { etcdOptionsFrom } = await import('./etcd-environment.js')
  return { etcd: etcdOptionsFrom(env, root) }
}

function isMissing(root: string): boolean {
  return !isEtcdRoot(root) && !existsSync(root)
}

/** Who does not find a sandbox has most often looked in the wrong root. */
function withRoot(error: unknown, root: string): unknown {
  if (!(error instanceof StateStoreError)) return error
  const { code, message, id, cause } = error
  if (code !== 'NOT_FOUND' || id === undefined) return error
  return new StateStoreError(code, `${message} in ${root}`, { id, cause })
}

/** The store's arguments all come from the command line. */
function asUsageError(error: unknown): never {
  throw error instanceof TypeError ? new UsageError(error.message) : error
}
