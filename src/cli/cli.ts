import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { StateStoreError } from '../errors.js'
import { isEtcdRoot } from '../root.js'
import { visible } from '../state/show.js'
import type { SandboxStore, StoreOptions } from '../store.js'
import { EXIT, UsageError } from './errors.js'
import type { GlobalOptions } from './options.js'
import { Input, type InputStream, Output, type OutputStream } from './output.js'
import { Progress } from './progress.js'
import { assertExpanded, resolveRoot } from './root.js'

/** The world around a command line; `process` is one. */
export interface Io {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly stdin?: InputStream
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

  /** The keyboard, where there is one. It is opened when it is asked for: an open one keeps a process from ending. */
  get input(): Input | undefined {
    const { stdin } = this.io
    return stdin?.isTTY === true ? new Input(stdin) : undefined
  }

  /** Whether the output is a terminal with a cursor that can be moved. */
  get canDraw(): boolean {
    return this.out.isTerminal && this.io.env.TERM !== 'dumb'
  }

  /** Whether to print in colour: for people who have not said no (https://no-color.org). */
  get colors(): boolean {
    const { NO_COLOR, TERM } = this.io.env
    return this.out.isTerminal && !NO_COLOR && TERM !== 'dumb'
  }

  /**
   * Shows on a terminal's stderr how far a long work is, until it is disposed of.
   * @param what such as `sandboxes listed`, after their number; undefined where nothing is counted
   * @param printsMeanwhile whether stdout is written while it goes on: on a terminal that is progress enough
   */
  progress(what?: string, printsMeanwhile = false): Progress {
    const isShown = this.err.isTerminal && this.io.env.TERM !== 'dumb'
    return new Progress(this.err, what, isShown && !(printsMeanwhile && this.out.isTerminal))
  }

  /** The root that a command is asked to work on. */
  root(command: Command): string {
    return resolveRoot(command.optsWithGlobals<GlobalOptions>().root, this.io.env)
  }

  /** The same, to be told to people. One that is missing is an empty one, and may be a mistake. */
  rootWords(command: Command): string {
    const root = this.root(command)
    return `${visible(root)}${isMissing(root) ? ', which does not exist yet' : ''}`
  }

  /** Whoever looks for faults in a root that is missing, and finds none, has perhaps mistyped it; a script is told so, too. */
  async warnOfMissingRoot(command: Command): Promise<void> {
    const root = this.root(command)
    if (!this.out.isTerminal && isMissing(root)) await this.err.write(`${visible(root)} does not exist yet\n`)
  }

  /** For tables. */
  async printLines(lines: readonly string[]): Promise<void> {
    for (const line of lines) await this.out.write(`${line}\n`)
  }

  /** Says something beside the output, on a terminal only: a script is left in peace. */
  async tellPerson(line: string): Promise<void> {
    if (!this.out.isTerminal) return
    await this.out.flush()
    await this.err.write(`${line}\n`)
  }

  /** Opens the store that a command is asked to work on, lends it, and closes it. */
  async withStore<T>(command: Command, use: (store: SandboxStore) => Promise<T>): Promise<T> {
    return this.withStoreAt(this.root(command), command, use)
  }

  /** The same for a root that was not given by `--root`. */
  async withStoreAt<T>(root: string, command: Command, use: (store: SandboxStore) => Promise<T>): Promise<T> {
    assertExpanded(root)
    const { lockTimeout } = command.optsWithGlobals<GlobalOptions>()
    const { openStore } = await import('../store.js')
    const options = { lockTimeout: lockTimeout * 1000, ...(await etcdOption(root, this.io.env)) }
    const store = await openStore(root, options).catch(asUsageError)
    try {
      return await use(store)
    } catch (error) {
      throw isMissingSandbox(error) ? notFoundIn(root, error) : error
    } finally {
      await store.close()
    }
  }
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

function isMissingSandbox(error: unknown): error is StateStoreError {
  return error instanceof StateStoreError && error.code === 'NOT_FOUND' && error.id !== undefined
}

/** Not to find a sandbox is most often to look in another root than the one where it is. */
function notFoundIn(root: string, { code, message, id, cause }: StateStoreError): StateStoreError {
  return new StateStoreError(code, `${message} in ${root}`, { id, cause })
}

/** The store is given nothing but what was on the command line. */
function asUsageError(error: unknown): never {
  throw error instanceof TypeError ? new UsageError(error.message) : error
}
