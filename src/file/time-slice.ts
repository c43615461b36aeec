import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long work without a wait of its own may block the event loop, in ms. */
const LONGEST = 5

let start = performance.now()

/**
 * Whether it is time to let the event loop turn. Awaiting a settled promise does not, so a program that makes one call after
 * another would receive no timer and no message. The time runs on from call to call, as each may be short.
 */
export function sliceExpired(): boolean {
  return performance.now() - start >= LONGEST
}

let turn: Promise<void> | undefined

/** Lets the event loop turn. Calls that wait for the same turn go on together, so that their messages cross in one batch. */
export function yieldToEventLoop(): Promise<void> {
  turn ??= nextTurn().then(() => {
    start = performance.now()
    turn = undefined
  })
  return turn
}
