/** Every code that a {@link StateStoreError} can carry. A code never changes its meaning between majors; messages may. */
export const ERROR_CODES = [
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'INVALID_ID',
  'INVALID_STATE',
  'CORRUPT_STATE',
  'STATE_MISMATCH',
  'INVALID_TRANSITION',
  'LOCK_TIMEOUT',
  'OUTCOME_UNKNOWN',
  'IO_ERROR',
  'UNSUPPORTED',
  'CLOSED',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** What an error is about, as far as it is known. */
export interface ErrorDetails {
  /** The sandbox. */
  readonly id?: string | undefined
  /** The file or folder. */
  readonly path?: string | undefined
  /** For transitions: the state that was expected (Kata's `oldState`). */
  readonly from?: string | undefined
  /** For transitions: the state that was asked for. */
  readonly to?: string | undefined
  /** The error underneath, such as the operating system's. */
  readonly cause?: unknown
}

/** A stack may be deeper by so many frames of this package. */
const OUR_FRAMES = 15

/**
 * The one error class of this package. Decide on `code`; show `message` to people.
 * @group The store
 */
export class StateStoreError extends Error {
  override readonly name = 'StateStoreError'
  /** What went wrong. */
  readonly code: ErrorCode
  /** The sandbox. */
  declare readonly id?: string
  /** The file or folder; on etcd, the key. */
  declare readonly path?: string
  /** For transitions: the state that was expected (Kata's `oldState`). */
  declare readonly from?: string
  /** For transitions: the state that was asked for. */
  declare readonly to?: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    // Ten frames, Node's default, would often end within this package, before the line of the program that called it.
    const { stackTraceLimit } = Error
    const isWanted = stackTraceLimit >= 10
    if (isWanted) Reflect.set(Error, 'stackTraceLimit', stackTraceLimit + OUR_FRAMES)
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    if (isWanted) Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
    this.code = code
    if (details.id !== undefined) this.id = details.id
    if (details.path !== undefined) this.path = details.path
    if (details.from !== undefined) this.from = details.from
    if (details.to !== undefined) this.to = details.to
  }

  /** What the command prints with `--format json`: `JSON.stringify` of an error leaves out its message. */
  toJSON(): Omit<ErrorDetails, 'cause'> & { readonly code: ErrorCode; readonly message: string } {
    const { code, message, id, path, from, to } = this
    return { code, message, id, path, from, to }
  }
}
