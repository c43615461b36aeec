import { fsyncSync } from 'node:fs'
import { aio } from './aio.js'
import { errorOf, systemError, uninterrupted } from './libc.js'

/** The most flushes of one submission. */
const DEPTH = 128

// struct iocb of <linux/aio_abi.h>, in words: data that comes back with the result, what to do, with which file.
const IOCB_SIZE = 16
const IOCB_DATA = 0
const IOCB_OPCODE = 4
const IOCB_FD = 5
/** Flushes as fsync(2) does; since Linux 4.18. */
const IOCB_CMD_FSYNC = 2

// struct io_event, in long words.
const EVENT_SIZE = 4
const EVENT_DATA = 0
const EVENT_RESULT = 2
const events = new BigInt64Array(DEPTH * EVENT_SIZE)

/** The id of this thread's AIO context, 0 before it is set up. The kernel destroys it with the process. */
const context = new BigUint64Array(1)

/**
 * Flushes files and folders all at once, so that one commit of the filesystem's journal serves them all. Where Linux AIO
 * is missing or refused (macOS, gVisor, seccomp, `fs.aio-max-nr` used up), each is flushed by an fsync(2) of its own.
 * @returns for each flush its error, as `fsyncSync` throws it, or undefined
 */
export function flushAll(fds: readonly number[]): (Error | undefined)[] {
  const failures: (Error | undefined)[] = []
  while (failures.length < fds.length) {
    const next = fds.slice(failures.length, failures.length + DEPTH)
    const submitted = next.length > 1 ? submit(next) : 0
    // The kernel accepts them up to the first that it refuses, which is then flushed on its own.
    failures.push(...(submitted > 0 ? collect(submitted) : next.slice(0, 1).map(flush)))
  }
  return failures
}

/** @returns how many of them, counted from the first, are being flushed now */
function submit(fds: readonly number[]): number {
  if (aio === undefined) return 0
  if (context[0] === 0n && aio.setup(DEPTH, context) === -1) return 0
  return Math.max(0, aio.submit(context[0] ?? 0n, fds.map(iocb)))
}

function iocb(fd: number, index: number): Uint32Array {
  const words = new Uint32Array(IOCB_SIZE)
  words[IOCB_DATA] = index
  words[IOCB_OPCODE] = IOCB_CMD_FSYNC
  words[IOCB_FD] = fd
  return words
}

/** Waits for the flushes that were submitted. */
function collect(count: number): (Error | undefined)[] {
  const failures = new Array<Error | undefined>(count).fill(undefined)
  for (let left = count; left > 0; ) {
    const ended = uninterrupted(() => aio?.getEvents(context[0] ?? 0n, left, events) ?? -1)
    if (ended < 1) {
      context[0] = 0n // Its outstanding events would be taken for the results of later flushes.
      return failures.fill(systemError('io_getevents'))
    }
    for (let event = 0; event < ended * EVENT_SIZE; event += EVENT_SIZE) {
      const result = Number(events[event + EVENT_RESULT])
      if (result < 0) failures[Number(events[event + EVENT_DATA])] = errorOf(-result, 'fsync')
    }
    left -= ended
  }
  return failures
}

function flush(fd: number): Error | undefined {
  try {
    fsyncSync(fd)
    return undefined
  } catch (error) {
    return error as Error
  }
}
