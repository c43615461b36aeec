import { StateStoreError } from '../errors.js'
import { depthOf } from './go-json.js'
import { escapeHtml, foldKey, quote, unquote } from './go-text.js'
import {
  checkLabels,
  LABELS_EXPECTED,
  type Labels,
  NO_LABELS,
  showInvalidLabels,
  writeLabels,
} from './labels.js'
import { isValidState, STATES, type StateString } from './machine.js'
import { MAX_STATE_BYTES, type SandboxState } from './sandbox-state.js'

/** The type of a field, as in Go. */
interface FieldType<Value> {
  /** What a value must be, in words. */
  readonly expected: string
  /** A value that is not valid, in words; by default what {@link show} returns. */
  readonly showInvalid?: (value: unknown) => string
  /** Go's zero value, which an absent field has. */
  readonly zero: unknown
  /** The value to store, without what JSON cannot express (-0, a lone surrogate); undefined if it is not valid. */
  check(value: unknown): Value | undefined
  /** What Go decodes from a JSON value, still to be checked; undefined if it has another type or is out of range. */
  parse(json: string): unknown
  /** The JSON of a valid value. */
  write(value: Value): string
}

interface TableRow<Value> extends FieldType<Value> {
  /**
   * When a file has the field. A field that may be missing from a file may be missing from a program's state, too. Those
   * written `if present` are this package's own: Kata does not know them.
   */
  readonly written: 'always' | 'unless zero' | 'never' | 'if present'
}

/** A field of {@link SandboxState}, the unknown keys aside. */
export type FieldName = Extract<keyof SandboxState, string>

export interface Field extends TableRow<unknown> {
  readonly name: FieldName
}

const text: FieldType<string> = {
  expected: 'a string',
  zero: '',
  check: value => (typeof value === 'string' ? value.toWellFormed() : undefined),
  parse: json => (json.startsWith('"') ? unquote(json) : undefined),
  write: quote,
}

/** Go decodes any text, and Kata then checks whether it is a state. */
const state: FieldType<StateString> = {
  ...text,
  expected: `one of ${STATES.join(', ')}`,
  check: value => (isValidState(value) ? value : undefined),
}

const boolean: FieldType<boolean> = {
  expected: 'true or false',
  zero: false,
  check: value => (typeof value === 'boolean' ? value : undefined),
  parse: json => (json === 'true' || json === 'false' ? json === 'true' : undefined),
  write: String,
}

/** An integer from `minimum` to `maximum`, written as one: neither as 1.0 nor as 1e2. */
function integer(minimum: number, maximum: number, range: string): FieldType<number> {
  // Go's unsigned integers take no sign, not even that of -0.
  const digits = minimum < 0 ? /^-?\d+$/ : /^\d+$/
  const check = (value: unknown) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) return undefined
    return value >= minimum && value <= maximum ? value + 0 : undefined // Adding 0 turns -0 into 0.
  }
  return {
    expected: `an integer from ${range}`,
    zero: 0,
    check,
    parse: json => (digits.test(json) ? check(Number(json)) : undefined),
    write: String,
  }
}

/** Labels in a file that are not valid are taken for another program's key of that name. */
const labels: FieldType<Labels | undefined> = {
  expected: LABELS_EXPECTED,
  showInvalid: showInvalidLabels,
  zero: NO_LABELS,
  check: checkLabels,
  parse: json => checkLabels(JSON.parse(json)),
  write: value => (value === undefined ? '' : writeLabels(value)),
}

/** Deeper data would overflow the stack where it is copied, stringified, or sent to another thread. */
const MAX_DATA_DEPTH = 1_000

const data: FieldType<unknown> = {
  expected: `a value that JSON can express in 1 MiB, nested at most ${MAX_DATA_DEPTH} levels deep`,
  zero: undefined,
  check: value => {
    const json = stringify(value)
    return json === undefined || json.length > MAX_STATE_BYTES ? undefined : parseData(json)
  },
  parse: parseData,
  write: value => escapeHtml(stringify(value) ?? ''),
}

/** Data of a file that is nested too deeply counts as an unknown key, and is kept as text. */
function parseData(json: string): unknown {
  return depthOf(json) > MAX_DATA_DEPTH ? undefined : JSON.parse(json)
}

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined // A circle, a bigint, or what its own toJSON throws.
  }
}

const MAX = Number.MAX_SAFE_INTEGER
const int = integer(-MAX, MAX, '-(2^53 - 1) to 2^53 - 1')
const uint = integer(0, MAX, '0 to 2^53 - 1')
const uint32 = integer(0, 0xffff_ffff, '0 to 2^32 - 1')

/** Everything there is to know about each field, in the order in which Go writes them. */
const TABLE: { readonly [Name in FieldName]-?: TableRow<SandboxState[Name]> } = {
  state: { ...state, written: 'always' },
  blockIndex: { ...int, written: 'always' },
  guestMemoryBlockSize: { ...uint32, written: 'always' },
  guestMemoryHotplugProbe: { ...boolean, written: 'always' },
  cgroupPath: { ...text, written: 'unless zero' },
  persistVersion: { ...uint, written: 'never' },
  labels: { ...labels, written: 'if present' },
  data: { ...data, written: 'if present' },
}

const NAMES = Object.keys(TABLE) as readonly FieldName[]

export const FIELDS: readonly Field[] = NAMES.map(name => ({ ...TABLE[name], name }))

const FIELD_BY_KEY: ReadonlyMap<string, Field> = new Map(
  FIELDS.flatMap(field => [[field.name, field] as const, [foldKey(field.name), field] as const]),
)

/** The field that a key of a file stands for: as in Go, by its name in any case; our own fields by the exact name only. */
export function fieldNamed(key: string): Field | undefined {
  const field = FIELD_BY_KEY.get(key) ?? FIELD_BY_KEY.get(foldKey(key))
  return field?.written === 'if present' && field.name !== key ? undefined : field
}

/** Whether it is the exact name of a field, as a program must write it. */
export function isFieldName(name: string): boolean {
  return FIELD_BY_KEY.get(name)?.name === name
}

/** The names of the fields in a file, other than the state, that differ. */
export function changedFields(before: SandboxState, after: SandboxState): FieldName[] {
  return FIELDS.filter(
    ({ name, written, write }) =>
      name !== 'state' && written !== 'never' && write(before[name]) !== write(after[name]),
  ).map(({ name }) => name)
}

export function invalidState(message: string): StateStoreError {
  return new StateStoreError('INVALID_STATE', message)
}

/** @param found the value at fault, in words */
export function invalidField({ name, expected }: Field, found: string): StateStoreError {
  return invalidState(`${name} must be ${expected}, found ${found}`)
}
