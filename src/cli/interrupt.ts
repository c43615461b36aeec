import { setTimeout as sleep } from 'node:timers/promises'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Works, then tidies up. A signal tells the work to stop, and once everything is tidy it ends this process, as it
 * would have done at once.
 */
export async function workAndTidy(
  work: (interrupted: AbortSignal) => Promise<void>,
  tidy: () => Promise<void>,
): Promise<void> {
  const interruption = new AbortController()
  let received: NodeJS.Signals | undefined
  const interrupt = (signal: NodeJS.Signals) => {
    received = signal
    interruption.abort()
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  try {
    await work(interruption.signal)
  } catch (error) {
    if (received === undefined) throw error
  } finally {
    await tidy()
    for (const signal of SIGNALS) process.off(signal, interrupt)
    if (received !== undefined) await dieOf(received)
  }
}

async function dieOf(signal: NodeJS.Signals): Promise<void> {
  process.kill(process.pid, signal)
  // It comes at once, or in one of the next turns if somebody listens to it and passes it on (signal-exit does).
  await sleep(1000)
}
