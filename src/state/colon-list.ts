import { invalidState } from './fields.js'
import { quoted, show } from './show.js'

/** One entry of a list, by the names of its parts. */
type Entry<Part extends string> = Record<Part, string>

/**
 * Reads a list as Kata takes it on a command line: entries separated by exactly one space, and in each entry every
 * part once, separated by colons.
 *
 * @param noun what an entry is, for messages
 * @param parts the names of the parts, in their order
 * @throws StateStoreError `INVALID_STATE` when an entry has more or fewer parts or an empty one, or the text is empty
 * @throws TypeError when it is not text
 */
export function parseColonList<Part extends string>(
  text: string,
  noun: string,
  parts: readonly Part[],
): Entry<Part>[] {
  if (typeof text !== 'string') throw new TypeError(`a list of ${noun}s is text, not ${show(text)}`)
  if (text === '') throw invalidState(`the list of ${noun}s is empty`)
  return text.split(' ').map(entry => parseEntry(entry, noun, parts))
}

/** The reverse. As in Go, parts are joined as they are, also those that could not be read back. */
export function formatColonList<Part extends string>(
  list: readonly Entry<Part>[],
  noun: string,
  parts: readonly Part[],
): string {
  if (!Array.isArray(list)) throw new TypeError(`expected a list of ${noun}s, not ${show(list)}`)
  return list.map(entry => formatEntry(entry, noun, parts)).join(' ')
}

function parseEntry<Part extends string>(entry: string, noun: string, parts: readonly Part[]): Entry<Part> {
  const values = entry.split(':')
  if (values.length !== parts.length) {
    throw invalidState(`${noun} ${quoted(entry)} does not have the form ${parts.join(':')}`)
  }
  const named = parts.map((part, index) => [part, values[index] ?? ''] as const)
  const empty = named.find(([, value]) => value === '')
  if (empty !== undefined) throw invalidState(`${noun} ${quoted(entry)} has an empty ${empty[0]}`)
  return Object.fromEntries(named) as Entry<Part>
}

function formatEntry<Part extends string>(entry: Entry<Part>, noun: string, parts: readonly Part[]): string {
  return parts.map(part => formatPart(entry?.[part], noun, part)).join(':')
}

function formatPart(value: unknown, noun: string, part: string): string {
  if (typeof value !== 'string') throw new TypeError(`the ${part} of a ${noun} is text, not ${show(value)}`)
  return value
}
