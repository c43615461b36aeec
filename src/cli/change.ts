import type { Command } from 'commander'
import type { SandboxState } from '../state/sandbox-state.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import { statePage } from './json.js'
import type { ChangeFormat } from './options.js'

/** The new state of a sandbox, null after a deletion, and what happened in a few words. */
export interface Change {
  readonly state: SandboxState | null
  readonly words: string
}

/** What the commands that change one sandbox do. */
export function changeSandbox(
  cli: Cli,
  command: Command,
  id: string,
  format: ChangeFormat,
  make: (store: SandboxStore) => Promise<Change>,
): Promise<void> {
  return cli.withStore(command, async store => printChange(cli, id, format, await make(store)))
}

/** Prints a line for a person, nothing for a script, or JSON. */
export async function printChange(
  cli: Cli,
  id: string,
  format: ChangeFormat,
  { state, words }: Change,
): Promise<void> {
  if (format === 'json') await cli.out.write(state === null ? 'null\n' : statePage(state))
  else if (cli.out.isTerminal) await cli.out.write(`${id}: ${words}\n`)
}
