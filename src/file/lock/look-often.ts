/** Time between two looks, in ms, so that an event is noticed within 100. */
const INTERVAL = 80

/** About how many looks there are in a second. */
export const LOOKS_PER_SECOND = 12

const looks = new Set<() => void>()
let timer: NodeJS.Timeout | undefined
let waiters = 0

/**
 * Calls a function every 80 ms, all such functions from one timer: a thousand that make a system call each take about 1 %
 * of a processor.
 * @param look receives how often it has been called, this call included
 * @param isAwaited whether to keep the process alive meanwhile
 * @returns stops it
 */
export function lookOften(look: (count: number) => void, isAwaited: boolean): () => void {
  let count = 0
  const own = () => look(++count)
  looks.add(own)
  if (isAwaited) waiters++
  timer ??= setInterval(() => {
    for (const each of looks) each()
  }, INTERVAL)
  keepAlive(timer)
  return () => {
    if (!looks.delete(own)) return
    if (isAwaited) waiters--
    if (timer !== undefined) keepAlive(timer)
    if (looks.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function keepAlive(timer: NodeJS.Timeout): void {
  if (waiters > 0) timer.ref()
  else timer.unref()
}
