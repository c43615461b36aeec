import type { Observation, StateOrError } from './backend.js'
import type { StateStoreError } from './errors.js'
import { stateText } from './state/codec.js'
import type { SandboxState } from './state/sandbox-state.js'

/** What happened to a sandbox. The first event of one that existed when the watch began is `created`. */
export type StateEvent<State = SandboxState> =
  | { readonly type: 'created'; readonly id: string; readonly state: State }
  | {
      readonly type: 'changed'
      readonly id: string
      readonly state: State
      readonly previous: State
    }
  | { readonly type: 'deleted'; readonly id: string; readonly previous?: State }
  /** Its state cannot be read; `previous` is the last one that could be. */
  | {
      readonly type: 'error'
      readonly id: string
      readonly error: StateStoreError
      readonly previous?: State
    }

/** The last observation of one sandbox. */
interface Known<State> {
  /** The last state that could be read. */
  readonly state: State | undefined
  /** The last observation as text, to compare with. */
  readonly text: string
}

/**
 * Turns observations into events: compares each with the last one, and skips it if nothing changed.
 * @param typed applies the store's schema to an entry
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
    // Compared as stored: the schema's type may have values with the same text.
    const text = 'error' in observation ? JSON.stringify(observation.error) : stateText(observation.state)
    if (text === before?.text) continue
    const entry = typed(observation)
    known.set(id, { state: 'error' in entry ? before?.state : entry.state, text })
    if ('error' in entry) yield { type: 'error', id, error: entry.error, ...last }
    else if (last) yield { type: 'changed', id, state: entry.state, ...last }
    else yield { type: 'created', id, state: entry.state }
  }
}
