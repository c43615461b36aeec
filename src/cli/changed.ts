import { changedFields } from '../state/changed-fields.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { show } from '../state/show.js'
import type { Cli } from './cli.js'
import { indentJson, stateJson } from './json.js'
import type { ChangeFormat } from './options.js'

/** What a change made: the new state, null after a deletion, and what happened in a few words. */
export interface Made {
  readonly id: string
  readonly state: SandboxState | null
  readonly words: string
}

/** How a command tells that it has made a change: a person sees a line, a script is left in peace, or gets JSON. */
export async function printMade(cli: Cli, { id, state, words }: Made, format: ChangeFormat): Promise<void> {
  if (format === 'json') await cli.out.write(state === null ? 'null\n' : statePage(state))
  else if (cli.out.isTerminal) await cli.out.write(`${id}: ${words}\n`)
}

/** A state as JSON for people: indented, with its newline. */
export function statePage(state: SandboxState): string {
  return `${indentJson(stateJson(state))}\n`
}

/** Such as `blockIndex 1 -> 2, cgroupPath "" -> "/a"`. */
export function difference(before: SandboxState, after: SandboxState): string {
  const changes = changedFields(before, after).map(
    field => `${field} ${show(before[field])} -> ${show(after[field])}`,
  )
  return changes.length === 0 ? 'unchanged' : changes.join(', ')
}
