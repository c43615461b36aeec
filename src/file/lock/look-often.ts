/** Every how many ms; so that what happens is noticed within 100. */
const INTERVAL = 80

const looks = new Set<() => void>()
let timer: NodeJS.Timeout | undefined
let waiters = 0

/**
 * Calls a function every 80 ms, all of them from one timer: a thousand that make a system call each take about one
 * hundredth of a processor's time.
 * @param isAwaited whether the process is not to end meanwhile
 * @returns ends it
 */
export function lookOften(look: () => void, isAwaited: boolean): () => void {
  const own = () => look() // Each call of this function adds one, also with the same `look`.
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
