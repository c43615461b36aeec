import { StateStoreError } from './errors.js'

/** The operating system's name of an error, such as `ENOENT`; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

export function isErrno(error: unknown, ...codes: string[]): boolean {
  const code = errnoOf(error)
  return code !== undefined && codes.includes(code)
}

/** Turns what a system call threw into the package's error; one that is already ours passes through. */
export function ioError(
  error: unknown,
  doing: string,
  id: string | undefined,
  path: string,
): StateStoreError {
  if (error instanceof StateStoreError) return error
  return new StateStoreError('IO_ERROR', `cannot ${doing} ${path}: ${reason(error)}`, {
    id,
    path,
    cause: error,
  })
}

/** `ENOSPC: no space left on device`, without the call and path that Node appends. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return errnoOf(error) === undefined ? error.message : (error.message.split(', ', 1)[0] ?? error.message)
}
