import { setTimeout as sleep } from 'node:timers/promises'

/** How long a test waits for what must come, in ms: generous, as it only tells a hang from a slow machine. */
export const PATIENCE = 20_000

/** Waits until something is so; throws when that does not come. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  within = PATIENCE,
): Promise<void> {
  const deadline = performance.now() + within
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`it never came to this: ${what}`)
    await sleep(5)
  }
}

/** What a promise settles to, or `'pending'` if it does not within some ms. */
export async function settled<T>(promise: Promise<T>, within = PATIENCE): Promise<T | 'pending'> {
  const over = new AbortController()
  try {
    return await Promise.race([
      promise,
      sleep(within, 'pending' as const, { signal: over.signal, ref: false }),
    ])
  } finally {
    over.abort()
  }
}
