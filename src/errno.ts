import { types } from 'node:util'
import { StateStoreError } from './errors.js'

/** Whether a value is an error, of any realm: in Jest, Node's errors are not `instanceof Error`. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

/**
 * The operating system's name of an error, such as `ENOENT`; undefined for any other error. Checks properties, not the
 * class: see {@link isError}.
 */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function isErrno(error: unknown, ...codes: string[]): boolean {
  const code = errnoOf(error)
  return code !== undefined && codes.includes(code)
}

/** Turns the error of a system call into one of this package; one that already is passes through. */
export function ioError(
  error: unknown,
  doing: string,
  id: string | undefined,
  path: string,
): StateStoreError {
  if (error instanceof StateStoreError) return error
  const message = `cannot ${doing} ${path}: ${reason(error)}`
  return new StateStoreError('IO_ERROR', message, { id, path, cause: error })
}

/** `ENOSPC: no space left on device`, without the call and path that Node appends. */
export function reason(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error)
  const message = String(error.message)
  return errnoOf(error) === undefined ? message : (message.split(', ', 1)[0] ?? message)
}
