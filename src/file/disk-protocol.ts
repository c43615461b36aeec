import { type ErrorCode, StateStoreError } from '../errors.js'
import type { StateString } from '../state/machine.js'
import type { ChangeOptions } from './commit.js'
import type { LockFile } from './lock/lock-file.js'

/** What the main thread asks of a disk thread. States travel as their JSON text, which keeps the unknown keys. */
export type ToThread =
  | {
      readonly kind: 'change'
      readonly job: number
      readonly id: string
      readonly path: string
      readonly folderFd: number
      readonly lock: LockFile
      readonly change: PlainChange
      readonly options: ChangeOptions
    }
  /** What an update made of the state; null when it threw. */
  | { readonly kind: 'answer'; readonly job: number; readonly text: string | null }

export type PlainChange =
  | { readonly kind: 'create'; readonly text: string }
  | { readonly kind: 'transition'; readonly from: StateString; readonly to: StateString }
  | { readonly kind: 'update' }
  | { readonly kind: 'delete'; readonly force: boolean }

export type FromThread =
  /** It has loaded its code. Before that it has touched nothing. */
  | { readonly kind: 'ready' }
  /** The state that an update, a function of the main thread's, is to be applied to. */
  | { readonly kind: 'ask'; readonly job: number; readonly text: string }
  | ({ readonly job: number /** Its longest flush, in ms. */; readonly flush: number } & Outcome)

/** What came of a change. */
export type Outcome =
  | { readonly kind: 'done'; readonly text: string | undefined }
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly error: PlainError }

/** An error as it crosses: structured clone would lose its class and its fields. */
export interface PlainError {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly id: string | undefined
  readonly path: string | undefined
  readonly from: string | undefined
  readonly to: string | undefined
  readonly cause: { readonly message: string; readonly fields: object } | undefined
}

export function toPlain(error: unknown): PlainError {
  if (!(error instanceof StateStoreError)) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return {
      code: undefined,
      message,
      id: undefined,
      path: undefined,
      from: undefined,
      to: undefined,
      cause: undefined,
    }
  }
  const { code, message, id, path, from, to, cause } = error
  const plainCause = cause instanceof Error ? { message: cause.message, fields: { ...cause } } : undefined
  return { code, message, id, path, from, to, cause: plainCause }
}

export function fromPlain({ code, message, cause, ...details }: PlainError): Error {
  if (code === undefined) return new Error(message)
  const rebuilt = cause && Object.assign(new Error(cause.message), cause.fields)
  return new StateStoreError(code, message, { ...details, cause: rebuilt })
}
