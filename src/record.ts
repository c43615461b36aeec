/** What each part of a record must be; a part that may be absent must allow `undefined`. */
export type Shape<T> = { readonly [Part in keyof T]-?: (value: unknown) => boolean }

/**
 * A record from JSON that anybody may have written: the parts that the shape names, in its order.
 * @returns undefined when it is no JSON object, or a part is not as it must be
 */
export function parseRecord<T>(json: string, shape: Shape<T>): T | undefined {
  const record: Partial<T> = {}
  try {
    const found: Partial<T> = JSON.parse(json)
    for (const part in shape) {
      const value = found[part]
      if (!shape[part](value)) return undefined
      if (value !== undefined) record[part] = value
    }
  } catch {
    return undefined
  }
  return record as T
}
