const handlers = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls a function when a signal is aborted, at once if it already is. A signal gets one listener for all such functions:
 * Node warns of more than ten.
 * @returns unsubscribes the function
 */
export function onAbort(signal: AbortSignal, handler: () => void): () => void {
  if (signal.aborted) {
    handler()
    return () => {}
  }
  const all = handlers.get(signal) ?? listen(signal)
  all.add(handler)
  return () => all.delete(handler)
}

/**
 * Combines signals as AbortSignal.any does, which however keeps some bytes for each call as long as the longest-lived of
 * its signals.
 * @returns the combined signal, and a function that unsubscribes it from the others
 */
export function anySignal(
  signals: readonly (AbortSignal | undefined)[],
): readonly [signal: AbortSignal, unsubscribe: () => void] {
  const any = new AbortController()
  const stops = signals.map(signal => signal && onAbort(signal, () => any.abort(signal.reason)))
  const unsubscribe = () => {
    for (const stop of stops) stop?.()
  }
  return [any.signal, unsubscribe]
}

/** The listener stays as long as the signal, and keeps only the functions that are still subscribed. */
function listen(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>()
  handlers.set(signal, all)
  const callAll = () => {
    for (const handler of all) handler()
  }
  signal.addEventListener('abort', callAll, { once: true })
  return all
}
