import { homedir } from 'node:os'
import type { Argument, Command, Option } from 'commander'
import { type Cli, collect } from './cli.js'
import { defineCommand } from './commands.js'
import { UNLABEL } from './labels.js'

/** Has a completion script offer folders, as its shell does. */
const FOLDERS = ':folders'

/** The names of arguments and values that may be folders. */
const FOLDER_NAMES: ReadonlySet<string> = new Set(['dir', 'from', 'to'])

/**
 * What may stand for the last word of a command line, one candidate a line, some with a tab and a description; or
 * {@link FOLDERS}. It asks the commands themselves, so that nothing can be forgotten.
 * @param words without the program. bash takes the `=` of `--option=value` and of `--label key=value` for a word of its own.
 */
export async function candidates(words: readonly string[], cli: Cli): Promise<readonly string[]> {
  const { program } = cli
  let command = program
  let operands = 0
  let option: Option | undefined
  let isPastOptions = false
  const optionOf = (name: string) =>
    [...command.options, ...program.options].find(({ short, long }) => name === short || name === long)

  for (const [at, word] of words.slice(0, -1).entries()) {
    if (word === '=' || (words[at - 1] === '=' && option === undefined)) continue
    const [name = '', value] = option === undefined ? word.split(/(?<=^--[\w-]+)=/) : [option.long, word]
    const isOption = name.startsWith('-') && !isPastOptions
    const named = isOption ? optionOf(name) : undefined
    option = named?.required && value === undefined ? named : undefined
    // Only the root matters to what may follow. Where the shell has not expanded a `~`, it is the home.
    if (name === '--root')
      program.setOptionValue(
        'root',
        value?.replace(/^~(?=\/|$)/, () => homedir()),
      )
    if (name === '--' && option === undefined) isPastOptions = true
    if (isOption) continue
    if (command !== program) operands += 1
    else {
      const subcommand = program.commands.find(other => other.name() === word)
      if (subcommand === undefined) return []
      await defineCommand(subcommand, cli)
      command = subcommand
    }
  }

  const last = words.at(-1) ?? ''
  if (option === undefined && (last === '=' || words.at(-2) === '=')) return []
  const current = last === '=' ? '' : last
  const [, flag = '', value = current] = /^(--[\w-]+=)(.*)$/s.exec(current) ?? []
  option ??= optionOf(flag.slice(0, -1))
  const place = option ?? command.registeredArguments[operands]
  let all: readonly string[] = []
  if (option === undefined && current.startsWith('-') && !isPastOptions) all = optionNames(program, command)
  else if (place !== undefined) all = await valuesOf(place, command, cli)
  else if (command === program)
    all = program.commands.map(command => `${command.name()}\t${command.summary()}`)
  return all[0] === FOLDERS ? all : all.filter(text => text.startsWith(value)).map(text => flag + text)
}

function optionNames(program: Command, command: Command): string[] {
  const help = command.createHelp()
  const options = [...help.visibleOptions(command), ...help.visibleOptions(program)]
  const lines = options.flatMap(({ short, long, description }) =>
    [short, long].flatMap(name => (name ? `${name}\t${description}` : [])),
  )
  return unique(lines)
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}

const NEEDS_NO_QUOTES = /^[\w./=,@+-]+$/

async function valuesOf(place: Argument | Option, command: Command, cli: Cli): Promise<readonly string[]> {
  if (place.argChoices !== undefined) return place.argChoices
  if (place === UNLABEL) return unique((await labelsInUse(cli)).map(([name]) => name))
  if ('flags' in place && place.long === '--label') {
    const labels = (await labelsInUse(cli)).map(label => label.join('='))
    return unique(labels).filter(label => NEEDS_NO_QUOTES.test(label))
  }
  const name = 'flags' in place ? (/<(\w+)>/.exec(place.flags)?.[1] ?? '') : place.name()
  if (FOLDER_NAMES.has(name)) return [FOLDERS]
  // The id of a sandbox that is to be created cannot be known.
  if (name !== 'id' || command.name() === 'create') return []
  return cli.withStore(async store => (await collect(store.list())).map(({ id }) => id))
}

/** The labels of all sandboxes; some may be there more than once. */
async function labelsInUse(cli: Cli): Promise<readonly (readonly [name: string, value: string])[]> {
  const entries = await cli.withStore(store => collect(store.list()))
  return entries.flatMap(entry => ('error' in entry ? [] : Object.entries(entry.state.labels ?? {})))
}
