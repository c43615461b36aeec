/**
 * Every code that a {@link StateStoreError} can have. A code keeps its meaning within a major version; messages may change
 * at any time.
 */
export const ERROR_CODES = [
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'INVALID_ID',
  'INVALID_STATE',
  'CORRUPT_STATE',
  'STATE_MISMATCH',
  'INVALID_TRANSITION',
  'REVISION_MISMATCH',
  'OWNED',
  'LOCK_TIMEOUT',
  'OUTCOME_UNKNOWN',
  'IO_ERROR',
  'UNSUPPORTED',
  'CLOSED',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** What an error concerns, as far as is known. */
export interface ErrorDetails {
  /** The sandbox. */
  readonly id?: string | undefined
  /** The file or folder. */
  readonly path?: string | undefined
  /** For transitions: the state that was expected (Kata's `oldState`). */
  readonly from?: string | undefined
  /** For transitions: the state that was requested (Kata's `newState`). */
  readonly to?: string | undefined
  /** The underlying error, such as the operating system's. */
  readonly cause?: unknown
}

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
  /** For transitions: the state that was requested (Kata's `newState`). */
  declare readonly to?: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    if (details.id !== undefined) this.id = details.id
    if (details.path !== undefined) this.path = details.path
    if (details.from !== undefined) this.from = details.from
    if (details.to !== undefined) this.to = details.to
  }

  /** For `JSON.stringify`, which otherwise leaves out an error's message. */
  toJSON(): Omit<ErrorDetails, 'cause'> & { readonly code: ErrorCode; readonly message: string } {
    const { code, message, id, path, from, to } = this
    return { code, message, id, path, from, to }
  }
}

/** Whether a sandbox cannot be read because its stored state is damaged or not valid. */
export function isUnreadable(error: unknown): error is StateStoreError {
  return error instanceof StateStoreError && ['CORRUPT_STATE', 'INVALID_STATE'].includes(error.code)
}

/** Returns an error of this package; rethrows any other. */
export function ownError(error: unknown): StateStoreError {
  if (error instanceof StateStoreError) return error
  throw error
}

/** Codes of failures that the other sandboxes of a store are likely to meet, too. */
const STORE_WIDE: readonly ErrorCode[] = ['OUTCOME_UNKNOWN', 'IO_ERROR', 'UNSUPPORTED', 'CLOSED']

/**
 * Waits for the change of one of several sandboxes.
 * @returns the error if it concerns that sandbox only; undefined once it is changed
 * @throws any other error
 */
export async function obstacleTo(change: Promise<unknown>): Promise<StateStoreError | undefined> {
  try {
    await change
    return undefined
  } catch (error) {
    const obstacle = ownError(error)
    if (STORE_WIDE.includes(obstacle.code)) throw error
    return obstacle
  }
}

/** Runs a function, and adds its subject to an error of this package that it throws. */
export function withSubject<T>(subject: string, details: ErrorDetails, act: () => T): T {
  try {
    return act()
  } catch (thrown) {
    const { code, message, cause } = ownError(thrown)
    throw new StateStoreError(code, `${subject}: ${message}`, { cause, ...details })
  }
}

/**
 * Adds to an error of this package the lines of the current stack that its own lacks. Node records ten, which may all lie
 * within this package or another thread, and so miss the program's own line. Raising that limit would mean assigning to
 * the program's `Error`, which may be frozen.
 */
export function withCaller(error: unknown): unknown {
  if (!(error instanceof StateStoreError) || typeof error.stack !== 'string') return error
  const { stack } = error
  const lines = new Error().stack?.split('\n').slice(3) ?? [] // Not the message, this function and who called it.
  error.stack = [stack, ...lines.filter(line => !stack.includes(line))].join('\n')
  return error
}
