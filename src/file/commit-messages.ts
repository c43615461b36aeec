import { isError } from '../errno.js'
import { type ErrorCode, type ErrorDetails, StateStoreError } from '../errors.js'
import { type SandboxState, UNKNOWN_KEYS, type UnknownKeys } from '../state/sandbox-state.js'
import { freezeUnknownKeys } from '../state/validate.js'
import type { Attempt, Request } from './commit.js'

/** Messages to the commit thread; they cross in batches. */
export type ToThread =
  | {
      readonly kind: 'attempt'
      readonly job: number
      readonly root: string
      readonly id: string
      readonly request: Request
    }
  /** The state that the rules returned. */
  | { readonly kind: 'next'; readonly job: number; readonly next: PlainState | undefined }
  /** The rules threw. */
  | { readonly kind: 'refuse'; readonly job: number }

/** Messages from the commit thread; they cross in batches, too. */
export type FromThread =
  /** Asks the program's thread to apply the rules to this state. */
  | {
      readonly kind: 'rules'
      readonly job: number
      readonly current: PlainState | undefined
      readonly revision: string | undefined
    }
  /** The rules had thrown; the locks are released. */
  | { readonly kind: 'refused'; readonly job: number }
  | { readonly kind: 'failed'; readonly job: number; readonly error: PlainError }
  /** With its longest flush, in ms. */
  | { readonly kind: 'ended'; readonly job: number; readonly attempt: Attempt; readonly flush: number }

/** A state in a message: structured clone leaves out properties under a symbol. */
export interface PlainState {
  readonly fields: SandboxState
  readonly unknown: UnknownKeys | undefined
}

export function toPlainState(state: SandboxState): PlainState {
  const { [UNKNOWN_KEYS]: unknown, ...fields } = state
  return { fields, unknown }
}

export function fromPlainState({ fields, unknown }: PlainState): SandboxState {
  return unknown === undefined ? fields : { ...fields, [UNKNOWN_KEYS]: freezeUnknownKeys(unknown) }
}

/** An error in a message: structured clone would lose its class and its fields. */
export interface PlainError {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly details: Omit<ErrorDetails, 'cause'>
  readonly cause: { readonly message: string; readonly fields: object } | undefined
}

export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof StateStoreError)) {
    const message = isError(error) ? (error.stack ?? error.message) : String(error)
    return { code: undefined, message, details: {}, cause: undefined }
  }
  const { code, message, id, path, from, to, cause } = error
  const plainCause = isError(cause) ? { message: cause.message, fields: { ...cause } } : undefined
  return { code, message, details: { id, path, from, to }, cause: plainCause }
}

/** Call it in an async function that the caller awaits: the stack of the new error then leads on to the caller. */
export function fromPlainError({ code, message, details, cause }: PlainError): Error {
  if (code === undefined) return new Error(message)
  const rebuilt = cause && Object.assign(new Error(cause.message), cause.fields)
  return new StateStoreError(code, message, { ...details, cause: rebuilt })
}
