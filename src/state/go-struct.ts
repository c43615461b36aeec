import * as z from 'zod'
import { withoutNegativeZero } from './fields.js'
import { foldKey } from './go-text.js'

// Schemas for what Go's encoding/json makes of a struct: keys in any case, and the zero value for all that is absent or null.

/** Go's `string`. */
export const goString = z
  .string()
  .nullish()
  .transform(value => (value ?? '').toWellFormed())

/** Go's `bool`. */
export const goBool = z
  .boolean()
  .nullish()
  .transform(value => value ?? false)

/** Go's unsigned integer with this greatest value. */
export function goUint(max: number) {
  return z
    .int()
    .min(0)
    .max(max)
    .nullish()
    .transform(value => withoutNegativeZero(value ?? 0))
}

/** Go's slice, of which the zero value is `null`: an empty slice is another value, and is written otherwise. */
export function goSlice<Element extends z.ZodType>(element: Element) {
  return z
    .array(element)
    .nullish()
    .transform(value => value ?? null)
}

/** A struct: its fields in their order, their names in any case; other keys are dropped. */
export function goStruct<Shape extends z.ZodRawShape>(shape: Shape) {
  const names = new Map(Object.keys(shape).map(name => [foldKey(name), name]))
  return z.preprocess(value => withFieldNames(value, names), z.object(shape)).prefault({})
}

function withFieldNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) return value
  const fields: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    const name = names.get(foldKey(key))
    if (name !== undefined) fields[name] = field
  }
  return fields
}
