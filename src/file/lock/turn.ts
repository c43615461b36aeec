import { KeyedQueue } from '../../queue.js'
import { type LockOptions, LockWait } from './wait.js'

/**
 * Tasks of this process that need the locks of one sandbox queue here, by the path of its folder, whichever store they come
 * through; so they need not poll for the lock.
 */
const turns = new KeyedQueue()

/** How long a task with a `lockTimeout` of 0 waits for earlier tasks of its own process, in ms. */
const SHORTEST_TURN = 1_000

/**
 * Runs a task that needs the locks of a sandbox when it is its turn in this process.
 * @param path the path of the sandbox's folder
 * @param act receives the means to wait for locks of other processes
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
  const hasTurn = turn === undefined || (await turn)
  try {
    options.signal?.throwIfAborted()
    if (!hasTurn) wait.timeOut('flock')
    return await act(wait)
  } finally {
    if (hasTurn) turns.leave(path)
    wait.end()
  }
}
