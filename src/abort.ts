const ends = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls a function when a signal is aborted, at once if it is already. However many do so, the signal has one
 * listener: Node warns of more than ten.
 * @returns takes the function back
 */
export function onAbort(signal: AbortSignal, end: () => void): () => void {
  if (signal.aborted) {
    end()
    return () => {}
  }
  const all = ends.get(signal) ?? listen(signal)
  all.add(end)
  return () => all.delete(end)
}

/** The listener stays as long as the signal; it holds nothing but the functions that are still wanted. */
function listen(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>()
  ends.set(signal, all)
  signal.addEventListener(
    'abort',
    () => {
      for (const end of all) end()
    },
    { once: true },
  )
  return all
}
