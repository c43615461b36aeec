import { StateStoreError } from '../errors.js'
import { foldKey } from './go-text.js'
import { STATES } from './machine.js'
import type { CompleteFields, SandboxState } from './sandbox-state.js'
import { show } from './show.js'

/** A field of {@link SandboxState} that has a name of its own. */
export type FieldName = Extract<keyof SandboxState, string>

/** What each field must be, in words, in the order in which Go writes the fields. */
const EXPECTED: Readonly<Record<FieldName, string>> = {
  state: `one of ${STATES.join(', ')}`,
  blockIndex: 'an integer from -(2^53 - 1) to 2^53 - 1',
  guestMemoryBlockSize: 'an integer from 0 to 2^32 - 1',
  guestMemoryHotplugProbe: 'true or false',
  cgroupPath: 'a string',
  persistVersion: 'an integer from 0 to 2^53 - 1',
}

const FIELD_BY_KEY: ReadonlyMap<string, FieldName> = new Map(
  (Object.keys(EXPECTED) as FieldName[]).flatMap(name => [
    [name, name],
    [foldKey(name), name],
  ]),
)

/** The field that a key of a file means: as Go, the exact name or the name in any case. */
export function fieldNamed(key: string): FieldName | undefined {
  return FIELD_BY_KEY.get(key) ?? FIELD_BY_KEY.get(foldKey(key))
}

/** Whether it is a field's name in exactly the right case, as a program must write it. */
export function isFieldName(name: string): name is FieldName {
  return FIELD_BY_KEY.get(name) === name
}

/** Go's zero values. */
export function zeroFields(): CompleteFields {
  return {
    blockIndex: 0,
    guestMemoryBlockSize: 0,
    guestMemoryHotplugProbe: false,
    cgroupPath: '',
    persistVersion: 0,
  }
}

/** Go's `int`, as far as JavaScript counts exactly. */
export function isInt(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

/** Go's `uint`, as far as JavaScript counts exactly. */
export function isUint(value: unknown): value is number {
  return isInt(value) && value >= 0
}

/** Go's `uint32`. */
export function isUint32(value: unknown): value is number {
  return isUint(value) && value <= 0xffff_ffff
}

/** JSON and Go's integers know no -0. */
export function withoutNegativeZero(value: number): number {
  return value === 0 ? 0 : value
}

export function invalidState(message: string): StateStoreError {
  return new StateStoreError('INVALID_STATE', message)
}

/** `found` is what stood there, in words. */
export function invalidField(field: FieldName, found: string): StateStoreError {
  return invalidState(`${field} must be ${EXPECTED[field]}, found ${found}`)
}

export function unknownField(name: string): StateStoreError {
  return invalidState(`unknown field ${show(name)}`)
}

export function notAnObject(value: unknown): StateStoreError {
  return invalidState(`expected an object with the fields of a sandbox state, found ${show(value)}`)
}

export function malformedUnknownKeys(): StateStoreError {
  return invalidState('the unknown keys are not as they were decoded')
}
