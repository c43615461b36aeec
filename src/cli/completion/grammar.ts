import type { Command, Option } from 'commander'
import type { Cli } from '../cli.js'
import { COMMANDS, defineCommand } from '../commands.js'
import { createProgram } from '../program.js'

/** What may stand in a place: one of some words, a sandbox's id, a folder, or what nobody can foresee. */
export type Place =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'ids' | 'folder' | 'any' }

export interface Flag {
  /** Such as `--root`, and `-h` beside `--help`. */
  readonly names: readonly string[]
  readonly description: string
  /** What its value may be, if it takes one. */
  readonly value?: Place
}

export interface CommandGrammar {
  readonly name: string
  readonly summary: string
  readonly flags: readonly Flag[]
  readonly places: readonly Place[]
}

/** All that may be written on a command line. */
export interface Grammar {
  /** Those that stand before a command or after it. */
  readonly flags: readonly Flag[]
  readonly commands: readonly CommandGrammar[]
}

/** Taken from the commands themselves, so that nothing can be forgotten. */
export async function grammarOf(cli: Cli): Promise<Grammar> {
  const program = createProgram(cli)
  const flags = flagsOf(program)
  const commands: CommandGrammar[] = []
  for (const { name, summary } of COMMANDS) {
    const command = program.commands.find(other => other.name() === name)
    if (command === undefined) continue
    await defineCommand(command, cli)
    const places = command.registeredArguments.map(argument => placeOf(argument.name(), argument.argChoices))
    // The id of a sandbox that is to be made is not there to be found.
    if (name === 'create') places.splice(0, 1, { kind: 'any' })
    const own = flagsOf(command).filter(
      flag => !flags.some(({ names }) => names.at(-1) === flag.names.at(-1)),
    )
    commands.push({ name, summary, flags: own, places })
  }
  return { flags, commands }
}

function flagsOf(command: Command): Flag[] {
  return command.createHelp().visibleOptions(command).map(flagOf)
}

function flagOf(option: Option): Flag {
  const names = [option.short, option.long].filter(name => name !== undefined && name !== null)
  const { description } = option
  if (!option.required && !option.optional) return { names, description }
  const value = /<(\w+)>/.exec(option.flags)?.[1] ?? ''
  return { names, description, value: placeOf(value, option.argChoices) }
}

/** The names of what may be a folder. */
const FOLDERS: ReadonlySet<string> = new Set(['dir', 'from', 'to'])

function placeOf(name: string, choices: readonly string[] | undefined): Place {
  if (choices !== undefined) return { kind: 'words', words: choices }
  if (name === 'id') return { kind: 'ids' }
  return { kind: FOLDERS.has(name) ? 'folder' : 'any' }
}
