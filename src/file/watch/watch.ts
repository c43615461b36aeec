import type { Sighting } from '../../backend.js'
import { sliceExpired, yieldToEventLoop } from '../time-slice.js'
import { Follower } from './follower.js'

/**
 * What is there below a root, then what becomes of it, whoever writes it; see {@link Backend.watch}. It holds one
 * watch of the kernel's for each sandbox, until the signal, also when nobody asks for the next sighting.
 * @throws StateStoreError `IO_ERROR` when the root cannot be listed at the beginning
 */
export async function* watchFiles(
  root: string,
  id: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Sighting> {
  if (signal.aborted) return
  const follower = new Follower(root, id)
  const close = () => follower.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    while (!follower.closed) {
      const sighting = follower.next()
      if (sighting !== undefined) yield sighting
      else await follower.wait()
      // The kernel's reports come with the turns of the event loop.
      if (sliceExpired()) await yieldToEventLoop()
    }
  } finally {
    signal.removeEventListener('abort', close)
    follower.close()
  }
}
