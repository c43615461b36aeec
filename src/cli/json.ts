import type { StateOrError } from '../backend.js'
import type { StateStoreError } from '../errors.js'
import { encodeState } from '../state/codec.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { visible } from '../state/show.js'

/**
 * A state as it is written to its file, on one line: the keys in their order, those that are not known too, and
 * every number digit by digit. What a terminal could obey is escaped, which in JSON means the same.
 */
export function stateJson(state: SandboxState): string {
  return visible(encodeState(state))
}

export function errorJson({ code, message }: StateStoreError): string {
  return visible(JSON.stringify({ code, message }))
}

/**
 * Such as `{"id":"a","state":{…}}`, or with `error` in place of `state`.
 * @param more keys that come after the id
 * @throws StateStoreError `INVALID_STATE` when the state is too long with its characters escaped
 */
export function entryJson(entry: StateOrError, more: Readonly<Record<string, string>> = {}): string {
  const begin = JSON.stringify({ id: entry.id, ...more }).slice(0, -1)
  return 'error' in entry
    ? `${begin},"error":${errorJson(entry.error)}}`
    : `${begin},"state":${stateJson(entry.state)}}`
}

/** One array of JSON, an object a line, with nothing in it that a terminal could obey. */
export function jsonRows(rows: readonly unknown[]): string {
  return jsonArray(rows.map(row => visible(JSON.stringify(row))))
}

/** @param objects each on one line, with nothing in it that a terminal could obey */
export function jsonArray(objects: readonly string[]): string {
  return objects.length === 0 ? '[]\n' : `[\n${objects.map(object => `  ${object}`).join(',\n')}\n]\n`
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
