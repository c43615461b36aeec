import { Buffer } from 'node:buffer'
import { StateStoreError } from '../errors.js'
import { FIELDS, type Field, fieldNamed, invalidField, invalidState } from './fields.js'
import { compact, objectMembers } from './go-json.js'
import { isBytes, quote, textOf } from './go-text.js'
import { MAX_STATE_BYTES, type SandboxState, UNKNOWN_KEYS } from './sandbox-state.js'
import { show, showJson } from './show.js'
import { completeState, freezeUnknownKeys, validState } from './validate.js'
import { decodeWrittenForm } from './written-form.js'

/**
 * The text of a state file, byte-equal to Go's `json.Marshal` of Kata's `SandboxState`: no white space, an empty
 * `cgroupPath` left out, `persistVersion` never written. `labels` and `data` follow, if present, and then the unknown keys.
 * {@link decodeState} always reads it back. The fields that are not written, an empty `cgroupPath` and `persistVersion`,
 * may be absent from the state.
 *
 * @throws StateStoreError `INVALID_STATE` for a field that is missing, of a wrong type, out of range or unknown, and for
 * a state that takes more than 1 MiB
 */
export function encodeState(state: SandboxState): string {
  const text = stateText(validState(state))
  if (exceedsLimit(text)) throw invalidState(`the state takes more than ${MAX_STATE_BYTES} bytes`)
  return text
}

/** As {@link encodeState}, for a valid state of any length. */
export function stateText(valid: SandboxState): string {
  const unknown = new Map(valid[UNKNOWN_KEYS])
  let text = ''
  for (const { name, written, zero, write } of FIELDS) {
    const value = valid[name]
    if (written === 'never' || value === undefined || (written === 'unless zero' && value === zero)) continue
    text += `${text === '' ? '{' : ','}"${name}":${unknown.get(name) ?? write(value)}`
    unknown.delete(name) // Data that did not change keeps its text.
  }
  for (const [key, json] of unknown) text += `,${quote(key)}:${json}`
  return `${text}}`
}

/**
 * The state in a file, decoded as Go decodes Kata's `SandboxState`: keys in any case, `null` changes nothing, a missing
 * field is zero, the last of several duplicates counts, and nothing may follow the object. Unknown keys are carried along
 * under a symbol (see {@link SandboxState}); a `persistVersion` is dropped.
 *
 * An integer above 2^53 - 1 in magnitude is refused, never rounded.
 *
 * @param input the content of the file: its text or its bytes
 * @throws StateStoreError `CORRUPT_STATE` when it is not a JSON object, or larger than 1 MiB;
 * `INVALID_STATE` when a field has a wrong type or range, or the state is not one of the four.
 * @throws TypeError when the input is neither text nor bytes
 */
export function decodeState(input: string | Uint8Array): SandboxState {
  if (typeof input !== 'string' && !isBytes(input)) {
    throw new TypeError(`a state is text or bytes, not ${show(input)}`)
  }
  if (input.length === 0) throw new StateStoreError('CORRUPT_STATE', 'it is empty')
  const text = documentText(input)
  return decodeWrittenForm(text) ?? decodeJson(text)
}

function decodeJson(text: string): SandboxState {
  const values: Record<string, unknown> = {}
  const unknown = new Map<string, string>()
  for (const { key, json } of objectMembers(text)) {
    const field = fieldNamed(key)
    if (field === undefined || field.written === 'if present') unknown.set(key, compact(json))
    else if (json !== 'null' && field.written !== 'never') values[field.name] = parseField(field, json)
  }
  for (const { name, written, parse, write } of FIELDS) {
    const json = unknown.get(name)
    if (json === undefined || written !== 'if present') continue
    const value = parse(json)
    values[name] = value
    // Data keeps its text as well, unless it would be written in just the same way.
    if (value !== undefined && (name === 'labels' || write(value) === json)) unknown.delete(name)
  }
  const state = completeState(values, ({ zero }) => zero)
  if (unknown.size > 0) state[UNKNOWN_KEYS] = freezeUnknownKeys(unknown)
  return state
}

function parseField(field: Field, json: string): unknown {
  const value = field.parse(json)
  if (value === undefined) throw invalidField(field, showJson(json))
  return value
}

/** Keys that other programs give to the object in their `state.json`: Kata's Rust runtime, runc, youki. */
const FOREIGN_KEYS = ['sandbox_type', 'init_process_pid', 'ociVersion']

/** Whether a file is of another program's schema: a JSON object with such a key and without a `state`. Never throws. */
export function isForeignSchema(input: string | Uint8Array): boolean {
  try {
    const keys = objectMembers(documentText(input)).map(({ key }) => key)
    return (
      FOREIGN_KEYS.some(key => keys.includes(key)) && !keys.some(key => fieldNamed(key)?.name === 'state')
    )
  } catch {
    return false
  }
}

function documentText(input: string | Uint8Array): string {
  if (exceedsLimit(input)) {
    throw new StateStoreError('CORRUPT_STATE', `the state is larger than ${MAX_STATE_BYTES} bytes`)
  }
  return typeof input === 'string' ? input.toWellFormed() : textOf(input)
}

function exceedsLimit(input: string | Uint8Array): boolean {
  return (typeof input === 'string' ? Buffer.byteLength(input) : input.length) > MAX_STATE_BYTES
}
