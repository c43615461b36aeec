import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { OutputStream } from '#src/cli/output.js'
import { run } from '#src/cli/run.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'

/** Where files are made fastest. */
export const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))

/** The program as npm installs it, in a folder of its own. */
export function installedProgram(): string {
  const folder = temporaryFolder()
  const [program, link] = [join(folder, 'sandbox-state'), join(folder, 'lib', 'sandbox-state')]
  mkdirSync(dirname(link))
  symlinkSync(BIN, link)
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${link}' "$@"\n`, { mode: 0o755 })
  return program
}

/** The environment of a shell that finds the program. */
export function programEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${dirname(installedProgram())}:${process.env.PATH}`, NO_COLOR: '1' }
}

/** A stream that keeps what is written to it. */
export class Screen implements OutputStream {
  text = ''

  constructor(readonly isTTY: boolean = false) {}

  write(text: string, done: (error?: Error | null) => void): void {
    this.text += text
    setImmediate(done)
  }

  on(): void {}
}

/** What came of one command line. */
export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface World {
  /** Whether stdout and stderr are a terminal; they are not by default. */
  readonly terminal?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/** Starts a command line in a process of its own, as a shell does; it ends with the test at the latest. */
export function startCli(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [BIN, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill()) // By SIGTERM, so that it ends what it started.
  return child
}

/** Gives the next line at each call. */
export function linesOf(output: Readable): () => Promise<string> {
  const lines = createInterface(output)[Symbol.asyncIterator]()
  return async () => (await lines.next()).value
}

/** Runs a command line in a process of its own. */
export async function spawnCli(...args: Parameters<typeof startCli>): Promise<Ran> {
  const child = startCli(...args)
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [status] = await ended
  return { status, stdout, stderr }
}

/** Runs a command line in this process. */
export async function cli(argv: readonly string[], { terminal = false, env = {} }: World = {}): Promise<Ran> {
  const stdout = new Screen(terminal)
  const stderr = new Screen(terminal)
  const status = await run(argv, { stdout, stderr, env })
  return { status, stdout: stdout.text, stderr: stderr.text }
}

/** A root of the test's own, and command lines that work on it. */
export class Root {
  constructor(readonly path: string = join(temporaryFolder(MEMORY), 'root')) {}

  /** Runs a command line, split at its spaces or given in words. */
  cli(line: string | readonly string[], world?: World): Promise<Ran> {
    const words = typeof line === 'string' ? line.split(' ') : line
    return cli(['--root', this.path, ...words], world)
  }

  /** Runs a command line that must do what it says; returns its output. */
  async done(line: string | readonly string[], world?: World): Promise<string> {
    const { status, stdout, stderr } = await this.cli(line, world)
    if (status !== 0) throw new Error(`exit status ${status}: ${stderr}`)
    return stdout
  }

  /** A sandbox's state, as its file has it. */
  file(id: string): unknown {
    return JSON.parse(readFileSync(join(this.path, id, 'state.json'), 'utf8'))
  }

  /** Puts a state file there as some other program could have left it. */
  put(id: string, content: string | Uint8Array): void {
    const folder = join(this.path, id)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, 'state.json')
    writeFileSync(`${file}.new`, content, { mode: 0o600 })
    renameSync(`${file}.new`, file) // So that a watch sees it whole.
  }

  /** Makes a state that many ms old. */
  age(id: string, ms: number): void {
    const then = new Date(Date.now() - ms)
    utimesSync(join(this.path, id, 'state.json'), then, then)
  }

  /** The root and everything below it, to be compared with a later snapshot. */
  snapshot(): unknown {
    return picture(this.path)
  }
}

/** A minimal state file's content. */
export function stateText(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    state: 'ready',
    blockIndex: 0,
    guestMemoryBlockSize: 0,
    guestMemoryHotplugProbe: false,
    ...fields,
  })
}

/** C0, DEL, C1, what changes the direction of text, separators of lines, and what has no width. */
export const HOSTILE = '\u001b[31mred\u0007\b\r\n\t\u007f\u0085\u009b2J\u202e\u2066\u2028\u2029\u200b\ufeff'

/** What no output may hold, except the newlines at the ends of its own lines. */
export const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
