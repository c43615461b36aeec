import type { Observation, StateOrError } from './backend.js'
import type { StateStoreError } from './errors.js'
import { stateText } from './state/codec.js'
import type { SandboxState } from './state/sandbox-state.js'

/** What happened to a sandbox. The first event of one that was there from the start is `created`. */
export type StateEvent<State = SandboxState> =
  | { readonly type: 'created'; readonly id: string; readonly state: State }
  | {
      readonly type: 'changed'
      readonly id: string
      readonly state: State
      readonly previous: State
    }
  | { readonly type: 'deleted'; readonly id: string; readonly previous?: State }
  /** Its state cannot be read; `previous` is the last one that could. */
  | {
      readonly type: 'error'
      readonly id: string
      readonly error: StateStoreError
      readonly previous?: State
    }

/** What was observed last of one sandbox. */
interface Known<State> {
  /** The last state that could be read. */
  readonly state: State | undefined
  /** What was seen, as a text to compare with. */
  readonly seen: string
}

/**
 * Turns observations into events: compares each with the last one, and is silent if nothing changed.
 * @param typed gives an entry its type
 */
export async function* eventsOf<State>(
  observations: AsyncIterable<Observation>,
  typed: (entry: StateOrError) => StateOrError<State>,
): AsyncGenerator<StateEvent<State>, void, undefined> {
  const known = new Map<string, Known<State>>()
  for await (const observation of observations) {
    const { id } = observation
    const before = known.get(id)
    const last = before?.state && { previous: before.state }
    if ('deleted' in observation) {
      if (known.delete(id)) yield { type: 'deleted', id, ...last }
      continue
    }
    // As it is kept: its type may have values that no text tells apart.
    const seen = 'error' in observation ? JSON.stringify(observation.error) : stateText(observation.state)
    if (seen === before?.seen) continue
    const entry = typed(observation)
    known.set(id, { state: 'error' in entry ? before?.state : entry.state, seen })
    if ('error' in entry) yield { type: 'error', id, error: entry.error, ...last }
    else if (last) yield { type: 'changed', id, state: entry.state, ...last }
    else yield { type: 'created', id, state: entry.state }
  }
}
