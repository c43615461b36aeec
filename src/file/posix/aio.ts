import { library } from './libc.js'

/** The numbers of the system calls of Linux AIO, for which the C library has no functions. */
const NUMBERS: { readonly [arch: string]: { setup: number; submit: number; getEvents: number } | undefined } =
  {
    x64: { setup: 206, submit: 209, getEvents: 208 },
    arm64: { setup: 0, submit: 2, getEvents: 4 },
  }

const ioSetup = library.func('long syscall(long number, uint depth, _Inout_ uint64_t *context)')
const ioSubmit = library.func('long syscall(long number, uint64_t context, long count, uint32_t **iocbs)')
const ioGetEvents = library.func(
  'long syscall(long number, uint64_t context, long least, long most, _Out_ int64_t *events, void *timeout)',
)

function linuxAio() {
  const numbers = process.platform === 'linux' ? NUMBERS[process.arch] : undefined
  if (numbers === undefined) return undefined
  return {
    setup: (depth: number, context: BigUint64Array): number => ioSetup(numbers.setup, depth, context),
    submit: (context: bigint, iocbs: readonly Uint32Array[]): number =>
      ioSubmit(numbers.submit, context, iocbs.length, iocbs),
    /** Waits for `count` events. */
    getEvents: (context: bigint, count: number, events: BigInt64Array): number =>
      ioGetEvents(numbers.getEvents, context, count, count, events, null),
  }
}

/** Each returns -1 when it fails, and sets errno. In one object, so that a test can replace each. */
export const aio = linuxAio()
