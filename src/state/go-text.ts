import { Buffer, isUtf8 } from 'node:buffer'

const NEEDS_ESCAPE = /["\\<>&\u0000-\u001f\u2028\u2029\ud800-\udfff]/
const ESCAPED = /["\\<>&\u0000-\u001f\u2028\u2029]/g
const HTML_SENSITIVE = /[<>&\u2028\u2029]/g
const REPLACEMENT = '\ufffd'

/**
 * A JSON string as Go 1.19 writes it: `<`, `>`, `&` and the line separators U+2028 and U+2029 are escaped, of the
 * control characters only \n, \r and \t have a short form, and what is not a character (a lone surrogate) is U+FFFD.
 */
export function quote(text: string): string {
  // Most texts need nothing, and finding that out is far cheaper than rewriting them.
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  return `"${text.toWellFormed().replace(ESCAPED, escapeSequence)}"`
}

/** What a valid JSON string stands for; lone surrogates, which Go's strings cannot hold, become U+FFFD. */
export function unquote(json: string): string {
  if (!json.includes('\\')) return json.slice(1, -1)
  return String(JSON.parse(json)).toWellFormed()
}

/** Escapes in JSON text what Go escapes for the sake of HTML. Such characters occur only inside of strings. */
export function escapeHtml(json: string): string {
  return json.replace(HTML_SENSITIVE, unicodeEscape)
}

/**
 * Folds the case of a key, so that two keys fold alike just when Go's decoder takes them for one name. That is
 * ASCII case, and the two characters beyond ASCII that Unicode folds into it: ſ (U+017F) and the Kelvin sign
 * (U+212A, which lower-casing turns into k).
 */
export function foldKey(key: string): string {
  return key.toLowerCase().replaceAll('\u017f', 's')
}

/** Text from bytes as Go reads them: each byte that is not part of a UTF-8 character becomes one U+FFFD. Keeps a BOM. */
export function textOf(bytes: Uint8Array): string {
  // isUtf8 throws for a detached buffer, whose length is 0.
  if (bytes.length === 0) return ''
  return isUtf8(bytes) ? decodeUtf8(bytes, 0, bytes.length) : decodeWithReplacements(bytes)
}

/** TextDecoder and Buffer replace a truncated character by one U+FFFD, where Go writes one for each of its bytes. */
function decodeWithReplacements(bytes: Uint8Array): string {
  const parts: string[] = []
  let validFrom = 0
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at)
    if (length === 0) {
      parts.push(decodeUtf8(bytes, validFrom, at), REPLACEMENT)
      validFrom = at + 1
    }
    at += Math.max(length, 1)
  }
  parts.push(decodeUtf8(bytes, validFrom, bytes.length))
  return parts.join('')
}

/**
 * The number of bytes of the UTF-8 character that begins at `at`; 0 when none does, or when it is cut short. A whole one
 * that UTF-8 forbids, such as a surrogate, counts: one U+FFFD for each of its bytes is what decodeUtf8 makes of it, too.
 */
function characterLength(bytes: Uint8Array, at: number): number {
  const length = lengthByLead(bytes[at] ?? 0)
  for (let next = at + 1; next < at + length; next++) {
    if (!isWithin(bytes[next] ?? 0, 0x80, 0xbf)) return 0
  }
  return length
}

function lengthByLead(lead: number): number {
  if (lead < 0x80) return 1
  if (isWithin(lead, 0xc0, 0xdf)) return 2
  if (isWithin(lead, 0xe0, 0xef)) return 3
  if (isWithin(lead, 0xf0, 0xf7)) return 4
  return 0
}

function isWithin(byte: number, low: number, high: number): boolean {
  return byte >= low && byte <= high
}

function decodeUtf8(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8')
}

function escapeSequence(character: string): string {
  switch (character) {
    case '"':
    case '\\':
      return `\\${character}`
    case '\n':
      return '\\n'
    case '\r':
      return '\\r'
    case '\t':
      return '\\t'
    default:
      return unicodeEscape(character)
  }
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
