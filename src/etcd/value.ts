import { StateStoreError } from '../errors.js'
import { decodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { KeyValue } from './wire.js'

/**
 * The state that a value holds; it is what a state file would.
 * @throws StateStoreError `CORRUPT_STATE`, `INVALID_STATE`
 */
export function stateIn({ key, value }: KeyValue, id: string): SandboxState {
  try {
    return decodeState(value)
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    throw new StateStoreError(error.code, `etcd's key ${key}: ${error.message}`, {
      id,
      path: key,
      cause: error,
    })
  }
}
