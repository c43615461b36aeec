import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long work without a wait of its own may keep the event loop, in ms. */
const LONGEST = 5

let start = performance.now()

/**
 * Whether it is time to let the event loop turn. To await what is there already never does, so a program that makes one
 * call after another would hear of no timer and no message. The time counts on from call to call, since each may be short.
 */
export function sliceExpired(): boolean {
  return performance.now() - start >= LONGEST
}

let turn: Promise<void> | undefined

/** Lets the event loop turn. Calls that wait for the same turn go on together, so that their messages cross as one. */
export function yieldToEventLoop(): Promise<void> {
  turn ??= nextTurn().then(() => {
    start = performance.now()
    turn = undefined
  })
  return turn
}
