import { invalidState } from './fields.js'
import { quoted, show } from './show.js'

/** A folder that the host shares with the VM (Kata's `Volume`). */
export interface Volume {
  /** A hint for the guest. */
  MountTag: string
  /** The path on the host. */
  HostPath: string
}

/** A socket between the host and the processes inside the VM (Kata's `Socket`). */
export interface Socket {
  DeviceID: string
  ID: string
  /** The path on the host. */
  HostPath: string
  Name: string
}

/** The form of a list's entries: their name in messages, and their parts in order. */
interface Form<Part extends string> {
  readonly noun: string
  readonly parts: readonly Part[]
}

const VOLUME: Form<keyof Volume> = { noun: 'volume', parts: ['MountTag', 'HostPath'] }
const SOCKET: Form<keyof Socket> = { noun: 'socket', parts: ['DeviceID', 'ID', 'HostPath', 'Name'] }

/**
 * Reads volumes from text such as `tag:/path tag2:/path2` (Kata's `Volumes.Set`).
 *
 * @throws StateStoreError `INVALID_STATE` when the text or a part is empty, or an entry does not have exactly two parts;
 * entries are separated by exactly one space
 * @throws TypeError when it is not text
 */
export function parseVolumes(text: string): Volume[] {
  return parseList(text, VOLUME)
}

/**
 * Writes volumes as {@link parseVolumes} reads them, and no volumes as `''` (Kata's `Volumes.String`). As in Go, a part
 * that is empty or contains a colon or a space is written unchanged, although it could not be read back.
 *
 * @throws TypeError when it is not a list of volumes
 */
export function formatVolumes(list: readonly Volume[]): string {
  return formatList(list, VOLUME)
}

/**
 * Reads sockets from text such as `dev:id:/path:name dev2:id2:/path2:name2` (Kata's `Sockets.Set`).
 *
 * @throws StateStoreError `INVALID_STATE` when the text or a part is empty, or an entry does not have exactly four parts;
 * entries are separated by exactly one space
 * @throws TypeError when it is not text
 */
export function parseSockets(text: string): Socket[] {
  return parseList(text, SOCKET)
}

/**
 * Writes sockets as {@link parseSockets} reads them, and no sockets as `''` (Kata's `Sockets.String`). As in Go, a part
 * that is empty or contains a colon or a space is written unchanged, although it could not be read back.
 *
 * @throws TypeError when it is not a list of sockets
 */
export function formatSockets(list: readonly Socket[]): string {
  return formatList(list, SOCKET)
}

function parseList<Part extends string>(text: string, form: Form<Part>): Record<Part, string>[] {
  if (typeof text !== 'string') throw new TypeError(`a list of ${form.noun}s is text, not ${show(text)}`)
  if (text === '') throw invalidState(`the list of ${form.noun}s is empty`)
  return text.split(' ').map(entry => parseEntry(entry, form))
}

function parseEntry<Part extends string>(entry: string, { noun, parts }: Form<Part>): Record<Part, string> {
  const values = entry.split(':')
  if (values.length !== parts.length) {
    throw invalidState(`${noun} ${quoted(entry)} does not have the form ${parts.join(':')}`)
  }
  const named = parts.map((part, index) => [part, values[index] ?? ''] as const)
  const empty = named.find(([, value]) => value === '')
  if (empty !== undefined) throw invalidState(`${noun} ${quoted(entry)} has an empty ${empty[0]}`)
  return Object.fromEntries(named) as Record<Part, string>
}

function formatList<Part extends string>(
  list: readonly Record<Part, string>[],
  { noun, parts }: Form<Part>,
): string {
  if (!Array.isArray(list)) throw new TypeError(`expected a list of ${noun}s, not ${show(list)}`)
  const formatPart = (value: unknown, part: Part) => {
    if (typeof value !== 'string') throw new TypeError(`the ${part} of a ${noun} is text, not ${show(value)}`)
    return value
  }
  return list.map(entry => parts.map(part => formatPart(entry?.[part], part)).join(':')).join(' ')
}
