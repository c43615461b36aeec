import { fieldNamed } from './fields.js'
import { compact, isMemberValue } from './go-json.js'
import type { UnknownKey, UnknownKeys } from './sandbox-state.js'

/** Makes the list out of keys and their JSON text. */
export function freezeUnknownKeys(entries: Iterable<UnknownKey>): UnknownKeys {
  return Object.freeze(Array.from(entries, ([key, json]) => Object.freeze([key, json] as const)))
}

/**
 * Whether a value is a list as {@link freezeUnknownKeys} makes it of a decoded file. It may come from anyone who has
 * seen the symbol, so nothing is taken on trust: what passes can be written, and is read back as it was.
 * Frozen is a part of that, since a list that may still change could change after this check.
 */
export function isUnknownKeys(value: unknown): value is UnknownKeys {
  return Array.isArray(value) && Object.isFrozen(value) && value.every(isUnknownKey) && isEachKeyOnce(value)
}

/** Of a key that is there twice, only the last value would be read back. */
function isEachKeyOnce(keys: UnknownKeys): boolean {
  return new Set(keys.map(([key]) => key)).size === keys.length
}

function isUnknownKey(value: unknown): value is UnknownKey {
  if (!Array.isArray(value) || !Object.isFrozen(value) || value.length !== 2) return false
  const [key, json]: unknown[] = value
  return typeof key === 'string' && typeof json === 'string' && isKey(key) && isJson(json)
}

function isKey(key: string): boolean {
  return key.isWellFormed() && fieldNamed(key) === undefined
}

function isJson(text: string): boolean {
  return text.isWellFormed() && isMemberValue(text) && compact(text) === text
}
