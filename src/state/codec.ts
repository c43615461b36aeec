import { Buffer } from 'node:buffer'
import { StateStoreError } from '../errors.js'
import {
  type FieldName,
  fieldNamed,
  invalidField,
  invalidState,
  isFieldName,
  isInt,
  isUint,
  isUint32,
  malformedUnknownKeys,
  notAnObject,
  unknownField,
  withoutNegativeZero,
  zeroFields,
} from './fields.js'
import { compact, type Member, objectMembers } from './go-json.js'
import { quote, textOf, unquote } from './go-text.js'
import { isValidState } from './machine.js'
import { type SandboxState, UNKNOWN_KEYS } from './sandbox-state.js'
import { show, word } from './show.js'
import { freezeUnknownKeys, isUnknownKeys } from './unknown-keys.js'
import { decodeWrittenForm } from './written-form.js'

// zod is not used here: every command decodes a state, and importing zod takes longer than the rest of a command.
// A test holds this file and schema.ts to the same fields.

/** No file of more bytes is decoded, and none is written: 1 MiB. Kata's own are below 1 KiB. */
export const MAX_STATE_BYTES = 1024 * 1024

/** A state that is being put together, or is not checked yet. */
type Draft = Omit<SandboxState, 'state'> & { state: string }

/**
 * The text of a state file, byte-equal to Go's `json.Marshal` of Kata's `SandboxState`: no white space, an empty
 * `cgroupPath` left out, `persistVersion` never written. Unknown keys follow the known ones. {@link decodeState}
 * always reads it back. What is not written, `cgroupPath` of `''` and `persistVersion`, may be absent from the state.
 *
 * @throws StateStoreError `INVALID_STATE` for a field that is missing, of a wrong type, out of range or not known,
 * and for a state that would take more than 1 MiB.
 */
export function encodeState(state: SandboxState): string {
  const known = writeFields(state)
  const unknown = UNKNOWN_KEYS in state ? writeUnknownKeys(state[UNKNOWN_KEYS]) : ''
  const text = `{${known}${unknown}}`
  if (exceedsLimit(text)) throw invalidState(`the state takes more than ${MAX_STATE_BYTES} bytes`)
  return text
}

/**
 * The state that a file holds, decoded as Go decodes Kata's `SandboxState`: keys in any case, `null` changes
 * nothing, a missing field is zero, of duplicates the last one counts, and nothing may follow the object.
 * Keys that are not known are carried along under a symbol (see {@link SandboxState}); a `persistVersion` is dropped.
 *
 * An integer above 2^53 - 1 in magnitude is refused, never rounded.
 *
 * @param input the content of the file: its text or its bytes
 * @throws StateStoreError `CORRUPT_STATE` when it is not a JSON object, or larger than 1 MiB;
 * `INVALID_STATE` when a field has a wrong type or range, or the state is not one of the four.
 * @throws TypeError when the input is neither text nor bytes.
 */
export function decodeState(input: string | Uint8Array): SandboxState {
  if (typeof input !== 'string' && !(input instanceof Uint8Array)) {
    throw new TypeError(`a state is text or bytes, not ${show(input)}`)
  }
  if (input.length === 0) throw new StateStoreError('CORRUPT_STATE', 'it is empty')
  return decodeWrittenForm(input) ?? decodeJson(documentText(input))
}

function decodeJson(text: string): SandboxState {
  const draft: Draft = { state: '', ...zeroFields() }
  const unknown = new Map<string, string>()
  for (const member of objectMembers(text)) {
    const field = fieldNamed(member.key)
    if (field === undefined) unknown.set(member.key, compact(member.json))
    else readField(draft, field, member)
  }
  if (unknown.size > 0) draft[UNKNOWN_KEYS] = freezeUnknownKeys(unknown)
  return checkedDraft(draft)
}

/**
 * Whether a file is of another program's schema: a JSON object with a `sandbox_type` and without a `state`, as Kata's
 * Rust runtime writes under the same name. Never throws.
 */
export function isForeignSchema(input: string | Uint8Array): boolean {
  try {
    const members = objectMembers(documentText(input))
    return (
      members.some(({ key }) => key === 'sandbox_type') &&
      !members.some(({ key }) => fieldNamed(key) === 'state')
    )
  } catch {
    return false
  }
}

function documentText(input: string | Uint8Array): string {
  if (typeof input === 'string') {
    if (exceedsLimit(input)) throw tooLarge()
    return input.toWellFormed()
  }
  if (input.length > MAX_STATE_BYTES) throw tooLarge()
  return textOf(input)
}

function tooLarge(): StateStoreError {
  return new StateStoreError('CORRUPT_STATE', `the state is larger than ${MAX_STATE_BYTES} bytes`)
}

function exceedsLimit(text: string): boolean {
  // A UTF-16 unit takes one to three bytes in UTF-8; counting them is needed only in between.
  if (text.length * 3 <= MAX_STATE_BYTES) return false
  return text.length > MAX_STATE_BYTES || Buffer.byteLength(text) > MAX_STATE_BYTES
}

function readField(draft: Draft, field: FieldName, member: Member): void {
  if (field === 'persistVersion' || member.kind === 'null') return
  switch (field) {
    case 'state':
    case 'cgroupPath':
      draft[field] = readString(field, member)
      break
    case 'guestMemoryHotplugProbe':
      draft[field] = readBoolean(field, member)
      break
    case 'blockIndex':
      draft[field] = readInteger(field, member, isInt)
      break
    case 'guestMemoryBlockSize':
      // Go's unsigned integers take no sign, not even that of -0.
      if (member.json.startsWith('-')) throw mistyped(field, member)
      draft[field] = readInteger(field, member, isUint32)
      break
  }
}

function readString(field: FieldName, member: Member): string {
  if (member.kind !== 'string') throw mistyped(field, member)
  return unquote(member.json)
}

function readBoolean(field: FieldName, member: Member): boolean {
  if (member.kind !== 'boolean') throw mistyped(field, member)
  return member.json === 'true'
}

/** As Go, only what is written as an integer: neither 1.0 nor 1e2. */
function readInteger(field: FieldName, member: Member, isInRange: (value: number) => boolean): number {
  if (member.kind !== 'number' || /[.eE]/.test(member.json)) throw mistyped(field, member)
  const value = Number(member.json)
  if (!isInRange(value)) throw mistyped(field, member)
  return withoutNegativeZero(value)
}

function mistyped(field: FieldName, { kind, json }: Member): StateStoreError {
  if (kind === 'array' || kind === 'object') return invalidField(field, `an ${kind}`)
  return invalidField(field, kind === 'string' ? show(unquote(json)) : word(json))
}

function checkedDraft(draft: Draft): SandboxState {
  if (!hasValidState(draft)) throw invalidField('state', show(draft.state))
  return draft
}

function hasValidState(draft: Draft): draft is SandboxState {
  return isValidState(draft.state)
}

/** Reads each field once, and writes only what it has checked: the state comes from a program, perhaps an untyped one. */
function writeFields(given: unknown): string {
  const {
    state,
    blockIndex,
    guestMemoryBlockSize,
    guestMemoryHotplugProbe,
    cgroupPath = '',
    persistVersion = 0,
  } = asRecord(given)
  if (!isValidState(state)) throw invalidField('state', show(state))
  if (!isInt(blockIndex)) throw invalidField('blockIndex', show(blockIndex))
  if (!isUint32(guestMemoryBlockSize)) throw invalidField('guestMemoryBlockSize', show(guestMemoryBlockSize))
  if (typeof guestMemoryHotplugProbe !== 'boolean') {
    throw invalidField('guestMemoryHotplugProbe', show(guestMemoryHotplugProbe))
  }
  if (typeof cgroupPath !== 'string') throw invalidField('cgroupPath', show(cgroupPath))
  if (!isUint(persistVersion)) throw invalidField('persistVersion', show(persistVersion))
  const always = `"state":"${state}","blockIndex":${blockIndex},"guestMemoryBlockSize":${guestMemoryBlockSize},"guestMemoryHotplugProbe":${guestMemoryHotplugProbe}`
  return cgroupPath === '' ? always : `${always},"cgroupPath":${quote(cgroupPath)}`
}

/** An object with no other keys than the fields, so that a misspelt field is not lost in silence. */
function asRecord(given: unknown): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw notAnObject(given)
  for (const key in given) if (!isFieldName(key)) throw unknownField(key)
  return given as Readonly<Record<string, unknown>>
}

function writeUnknownKeys(keys: unknown): string {
  if (!isUnknownKeys(keys)) throw malformedUnknownKeys()
  return keys.map(([key, json]) => `,${quote(key)}:${json}`).join('')
}
