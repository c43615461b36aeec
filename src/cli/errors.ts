import { CommanderError } from 'commander'
import { StateStoreError } from '../errors.js'
import { visible } from '../state/show.js'
import { choiceMeant, commandMeant } from './hints.js'
import { OutputError } from './output.js'

/** What each exit status means. */
export const EXIT = { done: 0, failed: 1, usage: 2, timedOut: 124 } as const

/** The command line is wrong, in a way that commander cannot see. */
export class UsageError extends Error {}

/** What was waited for has not come in time; its exit status is that of timeout(1). */
export class TimeoutError extends Error {
  constructor(
    message: string,
    /** The sandbox. */
    readonly id: string,
  ) {
    super(message)
  }
}

/** An error as a user sees it. */
export interface Failure {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly id?: string | undefined
  readonly path?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** @param help the command that explains what may be written, such as `sandbox-state create --help` */
export function failureOf(error: unknown, help: string): Failure {
  if (error instanceof StateStoreError) {
    const { code, message, id, path, from, to } = error
    return { status: EXIT.failed, code, message, id, path, from, to }
  }
  if (error instanceof UsageError || error instanceof CommanderError) {
    return { status: EXIT.usage, code: 'USAGE', message: `${plainMessage(error)} (see: ${help})` }
  }
  if (error instanceof TimeoutError) {
    return { status: EXIT.timedOut, code: 'TIMEOUT', message: error.message, id: error.id }
  }
  if (error instanceof OutputError) return { status: EXIT.failed, code: 'IO_ERROR', message: error.message }
  // The operating system's, of a temporary folder or the current one, say, is no bug of ours.
  if (error instanceof Error && 'syscall' in error) {
    const isGone = error.syscall === 'uv_cwd'
    const message = isGone ? 'the current folder does not exist any more' : error.message
    return { status: EXIT.failed, code: 'IO_ERROR', message }
  }
  return { status: EXIT.failed, code: 'INTERNAL', message: String(error) }
}

/**
 * Commander begins with `error: `, may go on with a word of its own, and ends with a full stop, or with a suggestion on
 * another line.
 */
function plainMessage({ message }: Error): string {
  const plain = message
    .replace(/^error: (command-argument value )?/, '')
    .replace(/^option '(.*)' argument missing$/, "option '$1' needs a value")
    .replace(/\.$/, '')
    .replace(/^(.*'(.*)' is invalid.*)\. Allowed choices are (.*)$/s, withChoiceMeant)
  const [, unknown = ''] = /^unknown command '(.*)'/.exec(plain) ?? []
  const meant = commandMeant(unknown)
  return meant === undefined
    ? plain.replace(/\n\(Did you mean (.*)\?\)$/, ', did you mean $1?')
    : `unknown command '${unknown}', did you mean ${meant}?`
}

function withChoiceMeant(message: string, fault: string, given: string, choices: string): string {
  const meant = choiceMeant(given, choices.split(', '))
  return meant === undefined ? message : `${fault}, did you mean ${meant}? Allowed choices are ${choices}`
}

/** One line, whatever is in the message. */
export function failureLine({ code, message }: Pick<Failure, 'code' | 'message'>): string {
  return `sandbox-state: ${code}: ${visible(message)}\n`
}

/** A JSON object, on one line. */
export function failureJson({ status: _, ...failure }: Failure): string {
  return `${visible(JSON.stringify(failure))}\n`
}
