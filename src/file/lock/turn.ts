import { KeyedQueue } from '../../queue.js'
import { type LockOptions, LockWait } from './wait.js'

/**
 * What needs the locks of one sandbox in this process, whichever store it comes through, queues here by the path of its
 * folder, and need not poll for the lock.
 */
const turns = new KeyedQueue()

/** How long one with a `lockTimeout` of 0 waits for those of its own process that came first, in ms. */
const SHORTEST_TURN = 1_000

/**
 * Does something that needs the locks of a sandbox, when it is its turn in this process.
 * @param path of the sandbox's folder
 * @param act waits for the locks of other processes by what it is given
 * @throws StateStoreError `LOCK_TIMEOUT`, the signal's reason, and what `act` throws
 */
export async function inTurn<T>(
  path: string,
  id: string,
  options: LockOptions,
  act: (wait: LockWait) => Promise<T>,
): Promise<T> {
  const wait = new LockWait(path, id, options)
  const turn = turns.enter(path, options.lockTimeout || SHORTEST_TURN, options.signal)
  const isIn = turn === undefined || (await turn)
  try {
    options.signal?.throwIfAborted()
    if (!isIn) wait.timeOut('flock')
    return await act(wait)
  } finally {
    if (isIn) turns.leave(path)
    wait.end()
  }
}
