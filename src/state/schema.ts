import * as z from 'zod'
import type { StateStoreError } from '../errors.js'
import {
  invalidField,
  isFieldName,
  malformedUnknownKeys,
  notAnObject,
  unknownField,
  withoutNegativeZero,
} from './fields.js'
import { STATES } from './machine.js'
import { type CompleteFields, type SandboxState, UNKNOWN_KEYS, type UnknownKeys } from './sandbox-state.js'
import { show } from './show.js'
import { isUnknownKeys } from './unknown-keys.js'

const int = z.int().overwrite(withoutNegativeZero)
const uint = z.int().nonnegative().overwrite(withoutNegativeZero)
const uint32 = z.uint32().overwrite(withoutNegativeZero)
const text = z.string().overwrite(value => value.toWellFormed())

/**
 * A whole state as a program gives it, such as the result of an update function: strict, no coercion, no other keys.
 * What a file does not hold may be absent: an empty `cgroupPath`, and `persistVersion`. The unknown keys stay.
 */
export const SandboxStateSchema = z.strictObject({
  state: z.enum(STATES),
  blockIndex: int,
  guestMemoryBlockSize: uint32,
  guestMemoryHotplugProbe: z.boolean(),
  cgroupPath: text.default(''),
  persistVersion: uint.default(0),
  [UNKNOWN_KEYS]: z.custom<UnknownKeys>(isUnknownKeys).exactOptional(),
})

/** The fields that a new sandbox may be given, each one optional, with Go's zero values as defaults. */
export const SandboxFieldsSchema = z.strictObject({
  blockIndex: int.default(0),
  guestMemoryBlockSize: uint32.default(0),
  guestMemoryHotplugProbe: z.boolean().default(false),
  cgroupPath: text.default(''),
  persistVersion: uint.default(0),
})

/**
 * Checks a whole state against {@link SandboxStateSchema}; returns a new object, with the unknown keys of the given one.
 *
 * @throws StateStoreError `INVALID_STATE`, with the name and the value of the first field at fault in its message.
 */
export function parseSandboxState(value: unknown): SandboxState {
  const result = SandboxStateSchema.safeParse(value, { reportInput: true })
  if (!result.success) throw invalid(result.error, value)
  return result.data
}

/**
 * Checks the fields for a new sandbox against {@link SandboxFieldsSchema} and completes them; `undefined` means none.
 *
 * @throws StateStoreError `INVALID_STATE`, with the name and the value of the first field at fault in its message.
 */
export function parseSandboxFields(value: unknown): CompleteFields {
  const result = SandboxFieldsSchema.safeParse(value === undefined ? {} : value, { reportInput: true })
  if (!result.success) throw invalid(result.error, value)
  return result.data
}

/** The first issue in the words that decodeState and encodeState use, where zod's would not name the value. */
function invalid({ issues: [issue] }: z.ZodError, given: unknown): StateStoreError {
  if (issue === undefined) return notAnObject(given)
  if (issue.code === 'unrecognized_keys') return unknownField(String(issue.keys[0]))
  const [field] = issue.path
  if (field === UNKNOWN_KEYS) return malformedUnknownKeys()
  return typeof field === 'string' && isFieldName(field)
    ? invalidField(field, show(issue.input))
    : notAnObject(given)
}
