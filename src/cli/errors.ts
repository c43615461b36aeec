import { CommanderError } from 'commander'
import { type ErrorCode, type ErrorDetails, StateStoreError } from '../errors.js'
import { visible } from '../state/show.js'
import { OutputError } from './output.js'

/** What each exit status means. */
export const EXIT = { done: 0, failed: 1, usage: 2, timedOut: 124 } as const

/** The command line is wrong, in a way that commander cannot see. */
export class UsageError extends Error {}

/** The awaited state was not reached in time; its exit status is that of timeout(1). */
export class TimeoutError extends Error {
  /** @param id the sandbox */
  constructor(
    message: string,
    readonly id: string,
  ) {
    super(message)
  }
}

/** The command that was to be run was not started; its exit status is that of env(1). */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

/** @returns undefined for an error with one of these codes */
export async function unlessCode<T>(codes: readonly ErrorCode[], result: Promise<T>): Promise<T | undefined> {
  try {
    return await result
  } catch (error) {
    if (error instanceof StateStoreError && codes.includes(error.code)) return undefined
    throw error
  }
}

/** An error as a user sees it. */
export interface Failure extends Omit<ErrorDetails, 'cause'> {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** @param help the command that explains what may be written, such as `sandbox-state create --help` */
export function failureOf(error: unknown, help: string): Failure {
  const status = EXIT.failed
  if (error instanceof StateStoreError) return { status, ...error.toJSON() }
  if (error instanceof UsageError || error instanceof CommanderError) {
    return { status: EXIT.usage, code: 'USAGE', message: `${plainMessage(error)} (see: ${help})` }
  }
  if (error instanceof TimeoutError) {
    return { status: EXIT.timedOut, code: 'TIMEOUT', message: error.message, id: error.id }
  }
  if (error instanceof CommandError) return { status: error.status, code: 'COMMAND', message: error.message }
  if (error instanceof OutputError) return { status, code: 'OUTPUT', message: error.message }
  // The operating system's own errors, such as one about the temporary or the current folder, are no bugs of ours.
  if (isSystemError(error)) {
    const isGone = error.syscall === 'uv_cwd'
    const message = isGone ? 'the current folder does not exist any more' : error.message
    return { status, code: 'IO_ERROR', message }
  }
  return { status, code: 'INTERNAL', message: String(error) }
}

function isSystemError(error: unknown): error is { readonly syscall: unknown; readonly message: string } {
  return typeof error === 'object' && error !== null && 'syscall' in error && 'message' in error
}

/**
 * Commander begins with `error: `, may go on with a word of its own, and ends with a full stop, or with a suggestion on
 * another line.
 */
function plainMessage({ message }: Error): string {
  return message
    .replace(/^error: (command-argument value )?/, '')
    .replace(/^option '(.*)' argument missing$/, "option '$1' needs a value")
    .replace(/\.$/, '')
    .replace(/^too many arguments.*Expected [^0].*$/, '$&; text with spaces needs quotes')
    .replace(/\n\(Did you mean (.*)\?\)$/, ', did you mean $1?')
}

/** One line, whatever is in the message: JSON, or text for people. */
export function failureLine({ status: _, ...failure }: Failure, asJson: boolean): string {
  const { code, message } = failure
  return `${visible(asJson ? JSON.stringify(failure) : `sandbox-state: ${code}: ${message}`)}\n`
}
