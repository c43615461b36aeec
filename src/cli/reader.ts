import { koffi } from '../koffi.js'

/** How often to look whether anybody reads the output, in ms. */
const PACE = 500

/**
 * Calls back once nobody can read what is written to a pipe or a socket any more. A write would show it, but a watch may
 * have nothing to write for long, and Node does not look at a pipe that it only writes to.
 */
export function onReaderGone(fd: number | undefined, gone: () => void): Disposable {
  if (fd === undefined) return { [Symbol.dispose]() {} }
  const poll = koffi.load(null).func('int poll(_Inout_ int32_t *fds, ulong count, int timeout)')
  const timer = setInterval(() => {
    // struct pollfd: the descriptor, then what to look for (errors are always looked for) and what there is.
    const pollfd = new Int32Array([fd, 0])
    if (poll(pollfd, 1, 0) > 0) gone()
  }, PACE)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
