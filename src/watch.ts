import type { Sighting } from './backend.js'
import type { StateStoreError } from './errors.js'
import { encodeState } from './state/codec.js'
import type { SandboxState } from './state/sandbox-state.js'

/** What happened to a sandbox. The first event of one that was there from the start is `created`. */
export type StateEvent =
  | { readonly type: 'created'; readonly id: string; readonly state: SandboxState }
  | {
      readonly type: 'changed'
      readonly id: string
      readonly state: SandboxState
      readonly previous: SandboxState
    }
  | { readonly type: 'deleted'; readonly id: string; readonly previous?: SandboxState }
  /** Its state cannot be read; `previous` is the last one that could. */
  | {
      readonly type: 'error'
      readonly id: string
      readonly error: StateStoreError
      readonly previous?: SandboxState
    }

/** What is known of one sandbox. */
interface Known {
  /** The last state that could be read. */
  readonly state?: SandboxState
  /** What was seen last, as a text to compare with. */
  readonly seen: string
}

/** Makes events of sightings: compares each with the one before, and says nothing when nothing changed. */
export async function* eventsOf(
  sightings: AsyncIterable<Sighting>,
): AsyncGenerator<StateEvent, void, undefined> {
  const known = new Map<string, Known>()
  for await (const sighting of sightings) {
    const { id } = sighting
    const before = known.get(id)
    const previous = before?.state === undefined ? {} : { previous: before.state }
    if ('gone' in sighting) {
      if (known.delete(id)) yield { type: 'deleted', id, ...previous }
      continue
    }
    const seen =
      'error' in sighting ? `${sighting.error.code} ${sighting.error.message}` : encodeState(sighting.state)
    if (seen === before?.seen) continue
    if ('error' in sighting) {
      known.set(id, { ...(before?.state && { state: before.state }), seen })
      yield { type: 'error', id, error: sighting.error, ...previous }
    } else {
      const { state } = sighting
      known.set(id, { state, seen })
      yield before?.state === undefined
        ? { type: 'created', id, state }
        : { type: 'changed', id, state, previous: before.state }
    }
  }
}

/**
 * An asynchronous generator that waits for its next value cannot be ended by `return`, which would wait for that value
 * first. This one can: `leave` ends what it is waiting for.
 */
export function leavable<T>(
  generator: AsyncGenerator<T, void, undefined>,
  leave: () => void,
): typeof generator {
  const end = generator.return.bind(generator)
  generator.return = value => {
    leave()
    return end(value)
  }
  return generator
}
