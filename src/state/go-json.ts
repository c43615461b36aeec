import { StateStoreError } from '../errors.js'
import { escapeHtml, unquote } from './go-text.js'
import { visible } from './show.js'

// JSON as Go's encoding/json (1.19) accepts and compacts it. JSON.parse has the same grammar, but loses the text of the
// values, duplicate keys, and the order of keys that are numbers.

/** Go refuses a document that is nested more deeply than this. */
export const MAX_DEPTH = 10_000

/** One member of an object, as it stands in the text. */
export interface Member {
  /** The key, unquoted. */
  readonly key: string
  /** The text of the value, with any white space inside it: see {@link compact}. */
  readonly json: string
}

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/.source
const STRING_OR_PUNCTUATION = new RegExp(`${STRING}|[{}[\\],:]`, 'g')
const STRING_OR_SPACE = new RegExp(`(${STRING})|[ \\t\\r\\n]+`, 'g')
const SPACE_OR_HTML = /[ \t\r\n<>&\u2028\u2029]/

/**
 * The members of the object in a text, in their order, duplicates included. `null` counts as an object
 * without members: Go leaves a struct as it is. Takes linear time and constant stack for any text.
 *
 * @throws StateStoreError `CORRUPT_STATE` when the text is not JSON, or not an object
 */
export function objectMembers(text: string): Member[] {
  assertObjectOrNull(text)
  const members: Member[] = []
  let depth = 0
  let key = ''
  /** Where a value of the object itself begins; undefined where its keys are. */
  let start: number | undefined
  for (const { 0: token, index } of text.matchAll(STRING_OR_PUNCTUATION)) {
    const isOpening = token === '{' || token === '['
    const isClosing = token === '}' || token === ']'
    if (isOpening && ++depth > MAX_DEPTH) throw corrupt('it is nested too deeply')
    if (depth === 1 && start === undefined && token.startsWith('"')) key = unquote(token)
    else if (depth === 1 && token === ':') start = index + 1
    else if (depth === 1 && start !== undefined && (isClosing || token === ',')) {
      members.push({ key, json: text.slice(start, index).trim() })
      start = undefined
    }
    if (isClosing) depth--
  }
  return members
}

function assertObjectOrNull(text: string): void {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corrupt(visible((error as SyntaxError).message))
  }
  if (typeof value !== 'object' || Array.isArray(value)) throw corrupt('it is another value')
}

function corrupt(fault: string): StateStoreError {
  return new StateStoreError('CORRUPT_STATE', `not a JSON object: ${fault}`)
}

/** How deeply the lists and objects of a JSON text are nested. */
export function depthOf(json: string): number {
  let depth = 0
  let deepest = 0
  for (const [token] of json.matchAll(STRING_OR_PUNCTUATION)) {
    if (token === '{' || token === '[') deepest = Math.max(deepest, ++depth)
    if (token === '}' || token === ']') depth--
  }
  return deepest
}

/** Whether a text is one JSON value without space around it, nested no deeper than a member of a document may be. */
export function isMemberValue(text: string): boolean {
  try {
    const [member, another] = objectMembers(`{"":${text}}`)
    return member?.json === text && another === undefined
  } catch {
    return false
  }
}

/** The text of a valid JSON value as Go's `json.Compact` leaves it in `json.Marshal`: no white space, HTML escaped. */
export function compact(json: string): string {
  return SPACE_OR_HTML.test(json) ? escapeHtml(json.replace(STRING_OR_SPACE, '$1')) : json
}
