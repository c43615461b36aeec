import type { HistoryEntry, LockHolder, Owner, StateOrError } from '../backend.js'
import type { Finding } from '../check.js'
import { ownError, StateStoreError } from '../errors.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { visible } from '../state/show.js'
import type { Inspection } from '../store-types.js'
import type { StateEvent } from '../watch.js'

/**
 * A state as it is written to its file, on one line: the keys in their order, those that are not known too, and
 * every number digit by digit. What a terminal could obey is escaped, which in JSON means the same.
 */
export function stateJson(state: SandboxState): string {
  return visible(encodeState(state))
}

/**
 * An entry or an event as one object on one line. When one of its states is too long with its characters escaped, that
 * error takes the place of its states.
 * @param onError called in that case
 */
export function objectJson(about: StateOrError | StateEvent, onError = () => {}): string {
  try {
    return membersJson(about)
  } catch (error) {
    onError()
    return membersJson({ ...('type' in about && { type: 'error' }), id: about.id, error: ownError(error) })
  }
}

type Member =
  | string
  | SandboxState
  | StateStoreError
  | LockHolder
  | Owner
  | readonly (HistoryEntry | Finding)[]
  | null

function membersJson(about: Readonly<Record<string, Member>>): string {
  return `{${Object.entries(about)
    .map(([key, value]) => `"${key}":${memberJson(value)}`)
    .join(',')}}`
}

function memberJson(value: Member): string {
  if (value instanceof StateStoreError) return rowJson({ code: value.code, message: value.message })
  if (typeof value === 'object' && value !== null && 'blockIndex' in value) return stateJson(value)
  return rowJson(value)
}

/** Any other value, on one line, with nothing in it that a terminal could obey. */
export function rowJson(value: unknown): string {
  return visible(JSON.stringify(value))
}

/**
 * Nested more deeply than this, an object or a list stays on one line: a file of one MiB can be nested so deeply
 * that its indentation alone would take gigabytes.
 */
const DEEPEST = 32

const TOKEN = /"(?:[^"\\]+|\\.)*"|\{\}|\[\]|[{}[\],:]/g

/**
 * Breaks compact JSON into lines that are indented by two spaces. It goes by the text alone, because
 * `JSON.parse` would round the numbers and sort some of the keys.
 */
export function indentJson(compact: string): string {
  let depth = 0
  const lineBreak = (indent: number) => (depth > DEEPEST ? '' : `\n${'  '.repeat(indent)}`)
  return compact.replace(TOKEN, token => {
    if (token === ':') return ': '
    if (token === ',') return token + lineBreak(depth)
    if (token === '{' || token === '[') {
      depth += 1
      return token + lineBreak(depth)
    }
    if (token !== '}' && token !== ']') return token
    const before = lineBreak(depth - 1)
    depth -= 1
    return before + token
  })
}

/** A state as JSON for people: indented, with its newline. */
export function statePage(state: SandboxState): string {
  return `${indentJson(stateJson(state))}\n`
}

/** The same for everything that is known about a sandbox. */
export function inspectionPage(inspection: Inspection): string {
  return `${indentJson(membersJson({ ...inspection }))}\n`
}
