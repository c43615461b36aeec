/** The check for each field of a record; that of a field that may be absent must accept `undefined`. */
export type Shape<T> = { readonly [Field in keyof T]-?: (value: unknown) => boolean }

/**
 * Reads a record from untrusted JSON: the fields that the shape names, in its order.
 * @returns undefined when it is not a JSON object, or a field is not valid
 */
export function parseRecord<T>(json: string, shape: Shape<T>): T | undefined {
  const record: Partial<T> = {}
  try {
    const parsed: Partial<T> = JSON.parse(json)
    for (const field in shape) {
      const value = parsed[field]
      if (!shape[field](value)) return undefined
      if (value !== undefined) record[field] = value
    }
  } catch {
    return undefined
  }
  return record as T
}
