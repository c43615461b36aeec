import { Argument, type Command, Help, Option } from 'commander'
import type { Cli } from './cli.js'
import type { Options } from './options.js'

/** How many columns a help takes. */
export const WIDTH = 80

/** What a command's help says beside its arguments and options. */
export interface HelpText {
  readonly description: string
  /** What is worth knowing, in lines of 80 characters at most. */
  readonly notes?: string
  /** Command lines without `sandbox-state`, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** What exit status 0 means. */
  readonly done: string
  /** What exit status 1 means, where more can fail than the output. */
  readonly failed?: string
  /** What other exit statuses mean. */
  readonly others?: readonly (readonly [status: string, meaning: string])[]
}

/** Everything that there is to know about a command. */
export interface CommandSpec extends HelpText {
  /** What its help shows of the arguments, where their names do not say it all. */
  readonly usage?: string
  /** Its arguments, and its own options, in the order of the help. */
  readonly takes?: readonly (Argument | Option)[]
  /** @param operands the values of the arguments, one by one; undefined for one that may be left out */
  run(cli: Cli, options: Options, ...operands: string[]): Promise<void> | void
}

/** For a command that may wait for ever. */
export const INTERRUPTED = ['130', 'interrupted with Ctrl-C'] as const

const JSON_OPTION = new Option('--json', 'the same as --format json')

function isJsonFormat(taken: Argument | Option): boolean {
  return taken instanceof Option && taken.long === '--format' && taken.argChoices?.includes('json') === true
}

export function define(command: Command, { usage, takes = [], run, ...help }: CommandSpec, cli: Cli): void {
  for (const each of takes) each instanceof Argument ? command.addArgument(each) : command.addOption(each)
  if (usage !== undefined) command.usage(usage)
  if (takes.some(isJsonFormat)) {
    command.addOption(JSON_OPTION).on('option:json', () => command.setOptionValue('format', 'json'))
  }
  describe(command, help).action(() => run(cli, command.opts<Options>(), ...command.processedArgs.flat()))
}

/** Gives a command its help: arguments and options in the middle, the notes, examples and exit statuses after them. */
export function describe(command: Command, help: HelpText): Command {
  const sections = [
    ...(help.notes === undefined ? [] : [help.notes]),
    `Examples:\n${columns(examplesOf(help))}`,
    `Exit status:\n${columns(statusesOf(help))}`,
  ]
  return command.description(help.description).addHelpText('after', `\n${sections.join('\n\n')}`)
}

type Row = readonly [left: string, right: string]

/** Whole command lines, each with what it does. */
export function examplesOf({ examples }: HelpText): Row[] {
  return examples.map(([line, meaning]) => [`sandbox-state ${line}`, meaning])
}

/** All exit statuses, each with what it means. */
export function statusesOf({
  done,
  failed = 'the output could not be written',
  others = [],
}: HelpText): Row[] {
  return [['0', done], ['1', failed], ['2', 'the command line is wrong'], ...others]
}

const LAYOUT = Object.assign(new Help(), { helpWidth: WIDTH, minWidthToWrap: 1 })

function columns(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => LAYOUT.formatItem(left, width, right, LAYOUT)).join('\n')
}
