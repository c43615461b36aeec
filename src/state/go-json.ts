import { StateStoreError } from '../errors.js'
import { escapeHtml, quote, unquote } from './go-text.js'
import { quoted, show } from './show.js'

// Go's encoding/json (1.19) for what this package needs of it: the JSON that it accepts, and the JSON that it writes.

/** Go refuses a document that is nested more deeply than this. */
export const MAX_DEPTH = 10_000

type Kind = 'string' | 'number' | 'boolean' | 'null' | 'array' | 'object'

/** One member of an object, as it stands in the text. */
export interface Member {
  /** The key, unquoted. */
  readonly key: string
  readonly kind: Kind
  /** The text of the value, white space inside of it included: see {@link compact}. */
  readonly json: string
}

/** Data that JSON can say without loss. */
export type GoJson = string | number | boolean | null | readonly GoJson[] | { readonly [key: string]: GoJson }

const NOT_COMPACT = /[ \t\r\n<>&\u2028\u2029]/

const SPACE = 0x20
const TAB = 0x09
const NEWLINE = 0x0a
const RETURN = 0x0d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const PLUS = 0x2b
const POINT = 0x2e
const ZERO = 0x30
const NINE = 0x39
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * The members of the one object that a text holds, in their order, with every duplicate. `null` counts as an object
 * without members: Go leaves a struct as it is. Takes linear time and constant stack for any text.
 *
 * @throws StateStoreError `CORRUPT_STATE` when the text is not JSON, or is another value than an object.
 */
export function objectMembers(text: string): Member[] {
  const members: Member[] = []
  const start = skipSpace(text, 0)
  const end = text.startsWith('null', start) ? start + 4 : readMembers(text, start, members)
  const rest = skipSpace(text, end)
  if (rest < text.length) throw unexpected(text, rest)
  return members
}

/** Whether a text is one JSON value without space around it, which may stand as a member of a document's object. */
export function isMemberValue(text: string): boolean {
  try {
    return endOfValue(text, 0) === text.length
  } catch {
    return false
  }
}

/** The text of a valid JSON value as Go's `json.Compact` leaves it in `json.Marshal`: no white space, HTML escaped. */
export function compact(json: string): string {
  if (!NOT_COMPACT.test(json)) return json
  const parts: string[] = []
  let from = 0
  for (let at = 0; at < json.length; ) {
    if (json.charCodeAt(at) === QUOTE) at = endOfString(json, at)
    else if (isSpace(json.charCodeAt(at))) {
      parts.push(json.slice(from, at))
      at = skipSpace(json, at)
      from = at
    } else at += 1
  }
  parts.push(json.slice(from))
  return escapeHtml(parts.join(''))
}

/**
 * Plain data as Go's `json.Marshal` writes the struct of the same fields: the keys in their order, no white space.
 *
 * @throws TypeError for what has no exact JSON: a fraction, an unsafe integer, `undefined`, a function.
 */
export function toGoJson(value: GoJson): string {
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'boolean' || value === null || Number.isSafeInteger(value)) return String(value)
  if (isList(value)) return `[${value.map(toGoJson).join()}]`
  if (typeof value === 'object') return `{${Object.entries(value).map(toGoMember).join()}}`
  throw new TypeError(`${show(value)} has no exact JSON`)
}

function toGoMember([key, value]: [string, GoJson]): string {
  return `${quote(key)}:${toGoJson(value)}`
}

// Array.isArray does not tell a readonly array from an object.
function isList(value: GoJson): value is readonly GoJson[] {
  return Array.isArray(value)
}

function readMembers(text: string, start: number, members: Member[]): number {
  if (text.charCodeAt(start) !== OPEN_OBJECT) throw unexpected(text, start)
  let at = skipSpace(text, start + 1)
  if (text.charCodeAt(at) === CLOSE_OBJECT) return at + 1
  for (;;) {
    const endOfKey = endOfString(text, at)
    const value = afterColon(text, endOfKey)
    const end = endOfValue(text, value)
    members.push({
      key: unquote(text.slice(at, endOfKey)),
      kind: kindOf(text.charCodeAt(value)),
      json: text.slice(value, end),
    })
    at = skipSpace(text, end)
    if (text.charCodeAt(at) === CLOSE_OBJECT) return at + 1
    at = afterComma(text, at)
  }
}

/** The kind of the valid value that begins with this character. */
function kindOf(first: number): Kind {
  switch (first) {
    case QUOTE:
      return 'string'
    case OPEN_OBJECT:
      return 'object'
    case OPEN_ARRAY:
      return 'array'
    case 0x74: // true
    case 0x66: // false
      return 'boolean'
    case 0x6e: // null
      return 'null'
    default:
      return 'number'
  }
}

// Each function below takes the position where something begins, and returns the position just after it.

function endOfValue(text: string, start: number): number {
  switch (text.charCodeAt(start)) {
    case OPEN_OBJECT:
    case OPEN_ARRAY:
      return endOfContainer(text, start)
    default:
      return endOfScalar(text, start)
  }
}

/** Walks an array or object with a list of the brackets that are open, since a call for each could exhaust the stack. */
function endOfContainer(text: string, start: number): number {
  const closers: number[] = []
  let at = start
  for (;;) {
    const opened = closerOf(text.charCodeAt(at))
    if (opened === undefined) {
      at = endOfScalar(text, at)
    } else {
      // The document's own object is one level more.
      if (closers.push(opened) >= MAX_DEPTH) throw corrupt('it is nested too deeply', at)
      at = skipSpace(text, at + 1)
      if (text.charCodeAt(at) !== opened) {
        if (opened === CLOSE_OBJECT) at = afterKey(text, at)
        continue
      }
    }
    at = closeContainers(text, at, closers)
    if (closers.length === 0) return at
    at = afterComma(text, at)
    if (closers.at(-1) === CLOSE_OBJECT) at = afterKey(text, at)
  }
}

/** Closes what closes at a position; returns the next significant position, or just after the outermost bracket. */
function closeContainers(text: string, start: number, closers: number[]): number {
  let at = skipSpace(text, start)
  while (text.charCodeAt(at) === closers.at(-1)) {
    closers.pop()
    at += 1
    if (closers.length === 0) return at
    at = skipSpace(text, at)
  }
  return at
}

function closerOf(opener: number): number | undefined {
  if (opener === OPEN_OBJECT) return CLOSE_OBJECT
  if (opener === OPEN_ARRAY) return CLOSE_ARRAY
  return undefined
}

function afterKey(text: string, start: number): number {
  return afterColon(text, endOfString(text, start))
}

function afterColon(text: string, start: number): number {
  return afterSeparator(text, skipSpace(text, start), COLON)
}

function afterComma(text: string, start: number): number {
  return afterSeparator(text, start, COMMA)
}

function afterSeparator(text: string, start: number, separator: number): number {
  if (text.charCodeAt(start) !== separator) throw unexpected(text, start)
  return skipSpace(text, start + 1)
}

function endOfScalar(text: string, start: number): number {
  const first = text.charCodeAt(start)
  if (first === QUOTE) return endOfString(text, start)
  if (first === MINUS || isDigit(first)) return endOfNumber(text, start)
  if (text.startsWith('true', start) || text.startsWith('null', start)) return start + 4
  if (text.startsWith('false', start)) return start + 5
  throw unexpected(text, start)
}

function endOfString(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) throw unexpected(text, start)
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code < SPACE) throw unexpected(text, at)
    if (code === BACKSLASH) at = lastOfEscape(text, at)
  }
  throw unexpected(text, text.length)
}

/** The position of the last character of the escape that begins with a backslash at `start`. */
function lastOfEscape(text: string, start: number): number {
  const letter = text.charAt(start + 1)
  if (letter !== 'u') {
    if (letter === '' || !'"\\/bfnrt'.includes(letter)) throw unexpected(text, start + 1)
    return start + 1
  }
  const last = start + 5
  for (let at = start + 2; at <= last; at++) {
    if (!isHexDigit(text.charCodeAt(at))) throw unexpected(text, at)
  }
  return last
}

function endOfNumber(text: string, start: number): number {
  let at = text.charCodeAt(start) === MINUS ? start + 1 : start
  at = text.charCodeAt(at) === ZERO ? at + 1 : endOfDigits(text, at)
  if (text.charCodeAt(at) === POINT) at = endOfDigits(text, at + 1)
  return text[at] === 'e' || text[at] === 'E' ? endOfExponent(text, at + 1) : at
}

function endOfExponent(text: string, start: number): number {
  const first = text.charCodeAt(start)
  return endOfDigits(text, first === PLUS || first === MINUS ? start + 1 : start)
}

/** There must be one digit at least. */
function endOfDigits(text: string, start: number): number {
  let at = start
  while (isDigit(text.charCodeAt(at))) at += 1
  if (at === start) throw unexpected(text, at)
  return at
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (isSpace(text.charCodeAt(at))) at += 1
  return at
}

// Past the end charCodeAt gives NaN, which is none of these.

function isSpace(code: number): boolean {
  return code === SPACE || code === NEWLINE || code === RETURN || code === TAB
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE
}

function isHexDigit(code: number): boolean {
  const lower = code | 0x20
  return isDigit(code) || (lower >= 0x61 && lower <= 0x66)
}

function unexpected(text: string, at: number): StateStoreError {
  const code = text.codePointAt(at)
  return corrupt(
    code === undefined ? 'it ends too early' : `unexpected ${quoted(String.fromCodePoint(code))}`,
    at,
  )
}

function corrupt(fault: string, at: number): StateStoreError {
  return new StateStoreError('CORRUPT_STATE', `not a JSON object: ${fault}, at position ${at}`)
}
