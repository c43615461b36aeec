import { Buffer, isUtf8 } from 'node:buffer'

const NEEDS_ESCAPE = /["\\<>&\u0000-\u001f\u2028\u2029\ud800-\udfff]/
const ESCAPED = /["\\<>&\u0000-\u001f\u2028\u2029]/g
const HAS_SHORT_FORM = /["\\\n\r\t]/
const HTML_SENSITIVE = /[<>&\u2028\u2029]/g

/** In UTF-8 read as Latin-1: a character of two to four bytes, or else a byte that belongs to no character. */
const BEYOND_ASCII = /[\xc0-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf7][\x80-\xbf]{3}|[\x80-\xff]/g

/**
 * A JSON string as Go 1.19 writes it: `<`, `>`, `&` and the line separators U+2028 and U+2029 are escaped, of the
 * control characters only \n, \r and \t have a short form, and a lone surrogate becomes U+FFFD.
 */
export function quote(text: string): string {
  // Most texts need no escape, and checking is far cheaper than rewriting.
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  return `"${text.toWellFormed().replace(ESCAPED, escapeSequence)}"`
}

/** The text of a valid JSON string; lone surrogates, which Go's strings cannot hold, become U+FFFD. */
export function unquote(json: string): string {
  if (!json.includes('\\')) return json.slice(1, -1)
  return String(JSON.parse(json)).toWellFormed()
}

/** Escapes in JSON text what Go escapes for the sake of HTML. Such characters occur only inside of strings. */
export function escapeHtml(json: string): string {
  return json.replace(HTML_SENSITIVE, unicodeEscape)
}

/**
 * Folds the case of a key, so that two keys fold alike exactly when Go's decoder treats them as one name. That means
 * ASCII case, and the two characters beyond ASCII that Unicode folds into it: ſ (U+017F) and the Kelvin sign
 * (U+212A, which lower-casing turns into k).
 */
export function foldKey(key: string): string {
  return key.toLowerCase().replaceAll('\u017f', 's')
}

/** Whether a value is a Uint8Array, also of another realm, as in jsdom or node:vm, where `instanceof` fails. */
export function isBytes(value: unknown): value is Uint8Array {
  if (value instanceof Uint8Array) return true
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]'
}

/** Text from bytes as Go reads them: each byte that is not part of a UTF-8 character becomes one U+FFFD. Keeps a BOM. */
export function textOf(bytes: Uint8Array): string {
  // A detached buffer has length 0, and would throw below.
  if (bytes.length === 0) return ''
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (isUtf8(buffer)) return buffer.toString('utf8')
  // Decoded as a whole, a truncated character would become one U+FFFD, where Go has one for each of its bytes.
  return buffer.toString('latin1').replace(BEYOND_ASCII, decodeCharacter)
}

/** Latin-1 text that UTF-8 forbids, such as a surrogate, decodes to one U+FFFD for each byte, as in Go. */
function decodeCharacter(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8')
}

function escapeSequence(character: string): string {
  return HAS_SHORT_FORM.test(character) ? JSON.stringify(character).slice(1, -1) : unicodeEscape(character)
}

/** Every UTF-16 unit as a JSON escape. */
export function unicodeEscape(text: string): string {
  return text.replace(/[\s\S]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
