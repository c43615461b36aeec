import { constants, endianness } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import { koffi } from '../../koffi.js'

/** Whether structs of the kernel have the same layout here as on x86-64. */
const hasKnownStructs = process.platform === 'linux' && endianness() === 'LE'

type Call<Arguments extends readonly unknown[]> = (...given: Arguments) => number

// The library is already part of the process, hence no file name.
export const library = koffi.load(null)

function call<Arguments extends readonly unknown[]>(prototype: string): Call<Arguments> {
  return library.func(prototype)
}

/** @returns undefined where the C library lacks the call, or its struct is not known */
function callWithStruct<Arguments extends readonly unknown[]>(
  prototype: string,
): Call<Arguments> | undefined {
  try {
    return hasKnownStructs ? call(prototype) : undefined
  } catch {
    return undefined
  }
}

type At = [fd: number, name: string]
type Bytes = [fd: number, buffer: Uint8Array, size: number]

/**
 * The calls of the C library that Node has no function for. Each returns -1 when it fails, and sets errno. In one object, so
 * that a test can look at each call, as it can at those of `node:fs`.
 */
export const libc = {
  flock: call<[fd: number, operation: number]>('int flock(int fd, int operation)'),
  openat: call<[...At, flags: number, type: 'int', mode: number]>(
    'int openat(int fd, const char *name, int flags, ...)',
  ),
  close: call<[fd: number]>('int close(int fd)'),
  mkdirat: call<[...At, mode: number]>('int mkdirat(int fd, const char *name, int mode)'),
  unlinkat: call<[...At, flags: number]>('int unlinkat(int fd, const char *name, int flags)'),
  renameat: call<[...At, ...At]>('int renameat(int fromFd, const char *from, int toFd, const char *to)'),
  linkat: call<[...At, ...At, flags: number]>(
    'int linkat(int fromFd, const char *from, int toFd, const char *to, int flags)',
  ),
  readlinkat: call<[...At, target: Uint8Array, size: number]>(
    'long readlinkat(int fd, const char *name, _Out_ uint8_t *target, ulong size)',
  ),
  pread: call<[...Bytes, position: number]>(
    'long pread(int fd, _Out_ uint8_t *buffer, ulong size, long position)',
  ),
  write: call<Bytes>('long write(int fd, const uint8_t *buffer, ulong size)'),
  pwrite: call<[...Bytes, position: number]>(
    'long pwrite(int fd, const uint8_t *buffer, ulong size, long position)',
  ),
  statx: callWithStruct<[...At, flags: number, mask: number, stat: Uint32Array]>(
    'int statx(int fd, const char *name, int flags, uint mask, _Out_ uint32_t *stat)',
  ),
  fstatfs: callWithStruct<[fd: number, statfs: Uint32Array]>('int fstatfs(int fd, _Out_ uint32_t *statfs)'),
}

/** The errno of the last call that failed. */
export function errno(): number {
  return koffi.errno()
}

/** Repeats a call until no signal interrupts it. */
export function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call()
    if (result !== -1 || koffi.errno() !== constants.errno.EINTR) return result
  }
}

/** The error of the last call that failed, as `node:fs` throws it. */
export function systemError(syscall: string, path?: string): Error {
  return errorOf(koffi.errno(), syscall, path)
}

let systemErrors: ReturnType<typeof getSystemErrorMap> | undefined

/** An errno as `node:fs` throws it. */
export function errorOf(number: number, syscall: string, path?: string): Error {
  systemErrors ??= getSystemErrorMap() // A copy each time.
  const [code, message] = systemErrors.get(-number) ?? [nameOf(number), 'the system refuses']
  const text = `${code}: ${message}, ${syscall}${path === undefined ? '' : ` '${path}'`}`
  return Object.assign(new Error(text), { errno: -number, code, syscall, path })
}

/** The name of an errno that Node has no message for, such as ENOLCK. */
function nameOf(number: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`
}
