import { constants, endianness } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import koffi from 'koffi'

/** The calls of the C library that Node has no function for. Each returns -1 when it fails, and sets errno. */
// The library is already part of the process, hence no file name.
const library = koffi.load(null)

/** Whether structs of the kernel can be taken apart here as on x86-64. */
const hasKnownStructs = process.platform === 'linux' && endianness() === 'LE'

type Statx = (fd: number, name: string, flags: number, mask: number, stat: Uint32Array) => number

function statx(): Statx | undefined {
  if (!hasKnownStructs) return undefined
  try {
    return library.func('int statx(int fd, const char *name, int flags, uint mask, _Out_ uint32_t *stat)')
  } catch {
    return undefined
  }
}

type Fstatfs = (fd: number, statfs: Uint32Array) => number

function fstatfs(): Fstatfs | undefined {
  return hasKnownStructs ? library.func('int fstatfs(int fd, _Out_ uint32_t *statfs)') : undefined
}

/** In one object, so that a test can look at each call, as it can at those of `node:fs`. */
export const libc = {
  flock: library.func('int flock(int fd, int operation)') as (fd: number, operation: number) => number,
  openat: library.func('int openat(int fd, const char *name, int flags, ...)') as (
    fd: number,
    name: string,
    flags: number,
    type: 'int',
    mode: number,
  ) => number,
  close: library.func('int close(int fd)') as (fd: number) => number,
  mkdirat: library.func('int mkdirat(int fd, const char *name, int mode)') as (
    fd: number,
    name: string,
    mode: number,
  ) => number,
  unlinkat: library.func('int unlinkat(int fd, const char *name, int flags)') as (
    fd: number,
    name: string,
    flags: number,
  ) => number,
  renameat: library.func('int renameat(int fromFd, const char *from, int toFd, const char *to)') as (
    fromFd: number,
    from: string,
    toFd: number,
    to: string,
  ) => number,
  linkat: library.func('int linkat(int fromFd, const char *from, int toFd, const char *to, int flags)') as (
    fromFd: number,
    from: string,
    toFd: number,
    to: string,
    flags: number,
  ) => number,
  pread: library.func('long pread(int fd, _Out_ uint8_t *buffer, ulong size, long position)') as (
    fd: number,
    buffer: Uint8Array,
    size: number,
    position: number,
  ) => number,
  write: library.func('long write(int fd, const uint8_t *buffer, ulong size)') as (
    fd: number,
    buffer: Uint8Array,
    size: number,
  ) => number,
  pwrite: library.func('long pwrite(int fd, const uint8_t *buffer, ulong size, long position)') as (
    fd: number,
    buffer: Uint8Array,
    size: number,
    position: number,
  ) => number,
  /** Linux only, and not in each C library there. */
  statx: statx(),
  /** Linux only. */
  fstatfs: fstatfs(),
  readlinkat: library.func(
    'long readlinkat(int fd, const char *name, _Out_ uint8_t *target, ulong size)',
  ) as (fd: number, name: string, target: Uint8Array, size: number) => number,
}

/** The errno of the last call that failed. */
export function errno(): number {
  return koffi.errno()
}

/** Makes a call until no signal interrupts it. */
export function uninterrupted(call: () => number): number {
  for (;;) {
    const result = call()
    if (result !== -1 || koffi.errno() !== constants.errno.EINTR) return result
  }
}

/** What the last call failed with, as `node:fs` throws it. */
export function systemError(syscall: string, path?: string): Error {
  const number = koffi.errno()
  const [code, message] = getSystemErrorMap().get(-number) ?? [nameOf(number), 'the system refuses']
  const text = `${code}: ${message}, ${syscall}${path === undefined ? '' : ` '${path}'`}`
  return Object.assign(new Error(text), { errno: -number, code, syscall, path })
}

/** Of an errno that Node has no words for, such as ENOLCK. */
function nameOf(number: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === number)?.[0] ?? `errno ${number}`
}
