import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANGE_CHANNEL, type ChangeTrace } from 'sandbox-state'
import { onTestFinished } from 'vitest'

type Step = 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'

/**
 * Collects what is published on a channel until the test ends: copies, as a message is completed on its way.
 * @param also is called with each message itself
 */
export function listen(step: Step, also: (message: ChangeTrace) => void = () => {}): ChangeTrace[] {
  const messages: ChangeTrace[] = []
  const receive = (message: unknown) => {
    messages.push({ ...(message as ChangeTrace) })
    also(message as ChangeTrace)
  }
  const name = `tracing:${CHANGE_CHANNEL}:${step}`
  subscribe(name, receive)
  onTestFinished(() => void unsubscribe(name, receive))
  return messages
}

/** @returns a condition for {@link until}: the next change waits for a lock */
export function nextChangeWaits(): () => boolean {
  let change: ChangeTrace | undefined
  listen('start', message => {
    change ??= message
  })
  return () => change?.lockWait !== undefined
}
