import type { SandboxState } from '../state/sandbox-state.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import type { CommandSpec } from './command.js'
import { statePage } from './json.js'
import { CHANGE_FORMAT, ID, type Options } from './options.js'

/** The new state of a sandbox, null after a deletion, and what happened in a few words. */
interface Change {
  readonly state: SandboxState | null
  readonly words: string
}

/** A command that changes one sandbox; `failed` is why nothing was changed. */
interface ChangeSpec extends Omit<CommandSpec, 'run'> {
  readonly failed: string
  /** What it prints with `--format json`. */
  readonly printed?: string
  change(store: SandboxStore, options: Options, id: string, ...operands: string[]): Promise<Change>
}

export function changeCommand({ change, printed = 'the new state', ...spec }: ChangeSpec): CommandSpec {
  const output = `On a terminal it says in one line what it did. With --format json it prints\n${printed}.`
  return {
    ...spec,
    notes: spec.notes === undefined ? output : `${spec.notes}\n\n${output}`,
    failed: `${spec.failed}; or it was done, but a power cut may undo it (OUTCOME_UNKNOWN)`,
    takes: [ID, ...(spec.takes ?? []), CHANGE_FORMAT],
    run: (cli, options, id, ...more) =>
      cli.withStore(async store => printChange(cli, options, id, await change(store, options, id, ...more))),
  }
}

/** Prints a line for a person, nothing for a script, or JSON. */
export async function printChange(cli: Cli, { format }: Options, id: string, { state, words }: Change) {
  if (format === 'json') await cli.out.write(state === null ? 'null\n' : statePage(state))
  else if (cli.out.isTerminal) await cli.out.write(`${id}: ${words}\n`)
}
