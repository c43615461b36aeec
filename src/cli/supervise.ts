import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { onAbort } from '../abort.js'
import type { Ownership } from '../backend.js'
import { errnoOf, isErrno } from '../errno.js'
import { isInForeground } from './foreground.js'

/** How a command ended. */
export interface End {
  /** As env(1): the command's own; 126 if it cannot be executed; 127 if it is not found; 128 + N if signal N killed it. */
  readonly status: number
  /** Such as `exited 3` or `killed by SIGKILL`. */
  readonly words: string
  /** Why it was not started. */
  readonly failure?: string
}

/** What a terminal sends to every process in its foreground; the command gets it without us. */
const FROM_TERMINAL: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH']

const PASSED_ON: readonly NodeJS.Signals[] = [
  ...FROM_TERMINAL,
  'SIGTERM',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
]

/** How long a command may take to end after SIGTERM, in ms; then it is killed. */
const GRACE = 5_000

/**
 * Runs a command on the standard input and outputs of this process, passes signals on to it, and waits for its end. Then
 * ignores signals until `finish` is done.
 * @param owner its descriptor, if it has one, is inherited by the command
 * @param lost ends the command
 */
export async function supervise(
  [command = '', ...args]: readonly string[],
  { fd }: Pick<Ownership, 'fd'>,
  lost: AbortSignal,
  finish: (end: End) => Promise<void>,
): Promise<void> {
  let child: ChildProcess | undefined
  const pass = (signal: NodeJS.Signals) => {
    if (!FROM_TERMINAL.includes(signal) || !isInForeground()) child?.kill(signal)
    // As the terminal's other processes do; SIGCONT wakes this one.
    if (signal === 'SIGTSTP') process.kill(process.pid, 'SIGSTOP')
  }
  for (const signal of PASSED_ON) process.on(signal, pass)
  try {
    await finish(
      await endOf(() => {
        const started = spawn(command, args, {
          stdio: ['inherit', 'inherit', 'inherit', ...(fd < 0 ? [] : [fd])],
        })
        child = started
        onAbort(lost, () => endCommand(started))
        return started
      }),
    )
  } finally {
    for (const signal of PASSED_ON) process.off(signal, pass)
  }
}

function endCommand(child: ChildProcess): void {
  child.kill('SIGTERM')
  setTimeout(() => child.kill('SIGKILL'), GRACE).unref() // Does nothing to one that has ended.
}

async function endOf(start: () => ChildProcess): Promise<End> {
  try {
    const [code, signal] = await exitOf(start())
    return signal === null
      ? { status: code ?? 1, words: `exited ${code}` }
      : { status: 128 + constants.signals[signal], words: `killed by ${signal}` }
  } catch (error) {
    // Node takes an empty name for a wrong argument.
    const isMissing = isErrno(error, 'ENOENT', 'ERR_INVALID_ARG_VALUE')
    const failure = isMissing ? 'not found' : `cannot be executed (${errnoOf(error)})`
    return { status: isMissing ? 127 : 126, words: failure, failure }
  }
}

function exitOf(child: ChildProcess): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.on('exit', (code, signal) => resolve([code, signal]))
    // A signal that we may not send is an error, too, and the command goes on.
    child.on('error', error => child.pid === undefined && reject(error))
  })
}
