import { KeyedQueue } from '../../queue.js'

/**
 * What needs the locks of one sandbox in this process, whichever store it comes through, queues here by the path of its
 * folder, and need not poll for the lock.
 */
export const turns = new KeyedQueue()

/** How long one with a `lockTimeout` of 0 waits for those of its own process that came first, in ms. */
export const SHORTEST_TURN = 1_000
