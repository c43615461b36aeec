import { FIELDS, type Field, fieldNamed, invalidField, invalidState, isFieldName } from './fields.js'
import { compact, isMemberValue } from './go-json.js'
import { type SandboxState, UNKNOWN_KEYS, type UnknownKey, type UnknownKeys } from './sandbox-state.js'
import { show } from './show.js'

/** Values by the names of their fields, not checked yet. */
type Values = Readonly<Record<string, unknown>>

/**
 * A whole state as a program gives it, such as the result of an update function: strict, no coercion, no other keys.
 * A field that a file does not have may be absent: an empty `cgroupPath`, and `persistVersion`. The unknown keys stay.
 *
 * @returns a new object
 * @throws StateStoreError `INVALID_STATE`, with the name and the value of the first field at fault
 */
export function validState(value: unknown): SandboxState {
  assertFields(value)
  const state = completeState(value)
  if (UNKNOWN_KEYS in value) {
    const keys = value[UNKNOWN_KEYS]
    if (!isUnknownKeys(keys)) throw invalidState('the unknown keys are not as they were decoded')
    const kept = keys.filter(key => isKept(key, state))
    if (kept.length > 0 || keys.length === 0) state[UNKNOWN_KEYS] = Object.freeze(kept)
  }
  return state
}

/**
 * Whether an unknown key of the file stays beside a state. The text of the data stays as long as the data is the same, so
 * that numbers keep their spelling.
 * @throws StateStoreError `INVALID_STATE` when the file has another program's key where the state has labels or data
 */
function isKept([key, json]: UnknownKey, state: SandboxState): boolean {
  const field = fieldNamed(key)
  if (field === undefined) return true
  const value = state[field.name]
  const data = field.name === 'data' ? field.parse(json) : undefined
  if (data !== undefined) return JSON.stringify(data) === JSON.stringify(value)
  if (value !== undefined) {
    throw invalidState(`${key} cannot be set: the file has another key of that name`)
  }
  return true
}

/**
 * The state of a new sandbox: `ready`, with the given fields; one that is absent or undefined has Go's zero value.
 *
 * @throws StateStoreError `INVALID_STATE`, with the name and the value of the first field at fault
 */
export function newState(fields: unknown = {}): SandboxState {
  assertFields(fields)
  if ('state' in fields) throw unknownField('state')
  return completeState(fields, ({ name, zero }) => (name === 'state' ? 'ready' : zero))
}

/** Checks for an object without unknown keys, so that a misspelt field is not silently lost. */
function assertFields(value: unknown): asserts value is Values {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidState(`expected an object with the fields of a sandbox state, found ${show(value)}`)
  }
  for (const key in value) if (!isFieldName(key)) throw unknownField(key)
}

/** A state of checked values; `absent` gives the value of a field that has none. */
export function completeState(given: Values, absent: (field: Field) => unknown = notInFile): SandboxState {
  const state: Record<string, unknown> = {}
  for (const field of FIELDS) {
    const { [field.name]: value = absent(field) } = given // Read once: it may be a getter.
    if (value === undefined && field.written === 'if present') continue
    const valid = field.check(value)
    if (valid === undefined) throw invalidField(field, (field.showInvalid ?? show)(value))
    if (valid !== field.zero || field.written !== 'if present') state[field.name] = valid
  }
  return state as unknown as SandboxState // Each field is present, and was checked by its type.
}

function notInFile({ written, zero }: Field): unknown {
  return written === 'always' ? undefined : zero
}

function unknownField(name: string): Error {
  return invalidState(`unknown field ${show(name)}`)
}

/** The list of keys with their JSON text. */
export function freezeUnknownKeys(entries: Iterable<UnknownKey>): UnknownKeys {
  return Object.freeze(Array.from(entries, ([key, json]) => Object.freeze([key, json] as const)))
}

/**
 * Whether a value is a list as {@link freezeUnknownKeys} returns it for a decoded file. Any program that has the symbol can
 * supply one, so nothing is trusted: what passes can be written, and is read back unchanged. It must also be frozen, or it
 * could change after this check.
 */
export function isUnknownKeys(value: unknown): value is UnknownKeys {
  if (!Array.isArray(value) || !Object.isFrozen(value) || !value.every(isUnknownKey)) return false
  // Only the last value of a repeated key would be read back.
  return new Set(value.map(([key]) => key)).size === value.length
}

function isUnknownKey(value: unknown): value is UnknownKey {
  if (!Array.isArray(value) || !Object.isFrozen(value) || value.length !== 2) return false
  const [key, json]: unknown[] = value
  if (typeof key !== 'string' || typeof json !== 'string') return false
  const field = fieldNamed(key)
  const isKey = key.isWellFormed() && (field === undefined || field.written === 'if present')
  return isKey && json.isWellFormed() && isMemberValue(json) && compact(json) === json
}
