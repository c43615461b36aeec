import { type ChildProcess, type ForkOptions, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** What came of a call that a program made of the store. */
export interface Outcome {
  readonly ok: boolean
  readonly code?: string
  readonly message?: string
  readonly result?: unknown
}

/** As whom to start a program that root's rights must not help: nobody, if the tests run as root. */
export const ORDINARY_USER = process.geteuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined

/** Gives everything below a folder to that user. */
export function giveToOrdinaryUser(folder: string): void {
  if (ORDINARY_USER === undefined) return
  const { uid, gid } = ORDINARY_USER
  for (const name of ['.', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })])
    chownSync(join(folder, name), uid, gid)
}

/** Why no program can be started as an ordinary user; undefined when one can. */
export const noOrdinaryUser: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (ORDINARY_USER === undefined) return undefined
  const load = "await import('sandbox-state')"
  const { status, error } = spawnSync(process.execPath, ['--input-type=module', '-e', load], {
    ...ORDINARY_USER,
    cwd: fileURLToPath(new URL('../programs/', import.meta.url)),
  })
  if (error !== undefined) return error.message
  return status === 0 ? undefined : 'another user than root cannot load what is in this folder'
}

/**
 * Starts a program of test/programs; it ends with the test at the latest.
 * @param onEnd that of the test, where several run at once
 */
export function startProgram(
  name: string,
  args: readonly string[] = [],
  options: ForkOptions = {},
  onEnd: (end: () => void) => void = onTestFinished,
): ChildProcess {
  const child = fork(fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url)), [...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...options,
  })
  onEnd(() => void child.kill('SIGKILL'))
  return child
}

/** Kills a program, and returns when it has ended. */
export async function killProgram(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Whether a process runs: one that has ended, and that its parent has not waited for, does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Whether a program has not ended yet. */
export function isAlive({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

export async function nextMessage(child: ChildProcess): Promise<unknown> {
  const heard = new AbortController()
  const { signal } = heard
  // Its last words may come after its 'exit', not after its channel is closed.
  const ended = once(child, 'disconnect', { signal }).then(() => {
    throw new Error(`the program ended (${child.exitCode ?? child.signalCode}) before it said anything`)
  })
  ended.catch(() => {})
  try {
    const [message] = (await Promise.race([once(child, 'message', { signal }), ended])) as [unknown]
    return message
  } finally {
    heard.abort()
  }
}

/** What a racer does: `count` times the same change of one sandbox. */
interface Work {
  readonly root: string
  readonly id: string
  readonly what: 'create' | 'transition' | 'increment' | 'label'
  readonly count?: number
}

/** Processes that do the same work at the same time. Tests of a file share them, as it takes long to start them. */
export class Racers {
  private constructor(
    private readonly children: readonly ChildProcess[],
    readonly end: () => void,
  ) {}

  static async start(count: number): Promise<Racers> {
    const ends: (() => void)[] = []
    const children = Array.from({ length: count }, () =>
      startProgram('racer', [], {}, end => void ends.push(end)),
    )
    await Promise.all(children.map(nextMessage))
    return new Racers(children, () => {
      for (const end of ends) end()
    })
  }

  /** @returns what each of them reports */
  async race(work: Work): Promise<Outcome[][]> {
    const reports = this.children.map(nextMessage)
    for (const child of this.children) child.send(work)
    return Promise.all(reports) as Promise<Outcome[][]>
  }
}
