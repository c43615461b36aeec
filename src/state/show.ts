import { unicodeEscape } from './go-text.js'

const LONGEST_SHOWN = 60
const PLAIN_WORD = /^[\w.+-]+$/
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** Text for a message: in double quotes, truncated when long, without control characters that a terminal would obey. */
export function quoted(text: string): string {
  const cut = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text
  return visible(JSON.stringify(cut))
}

/** Text with control and invisible characters as JSON escapes. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, unicodeEscape)
}

/** As {@link quoted}, but a plain word such as `ready` without quotes. */
export function word(text: string): string {
  return text.length <= LONGEST_SHOWN && PLAIN_WORD.test(text) ? text : quoted(text)
}

/** Any value for a message: text in quotes, a container only by its kind. */
export function show(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'bigint') return `${value}n`
  return word(String(value))
}

/** As {@link show}, for a value's JSON, with every digit of a number. */
export function showJson(json: string): string {
  return /^[-\d]/.test(json) ? word(json) : show(JSON.parse(json))
}
