import { Argument, type Command, InvalidArgumentError, Option } from 'commander'
import { type FieldName, fieldNamed } from '../state/fields.js'
import { STATES } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'

// The arguments and options that commands share.

/** Those that every command takes, before its name or after it. */
export interface GlobalOptions {
  readonly root?: string
  /** In seconds. */
  readonly lockTimeout: number
}

export function addGlobalOptions(command: Command): Command {
  return command
    .option('--root <dir>', 'the folder that holds the sandboxes')
    .option('--lock-timeout <seconds>', 'how long to wait for a locked sandbox', seconds, 10)
}

/** @param placeholder `<id>`, or `[id]` where it may be left out */
export function idArgument(
  placeholder: '<id>' | '[id]' = '<id>',
  description = "the sandbox's name: letters, digits, _ . and -",
): Argument {
  return new Argument(placeholder, description)
}

export function choiceArgument(name: string, description: string, choices: readonly string[]): Argument {
  return new Argument(name, description).choices(choices)
}

export function stateOption(flags: string, description: string): Option {
  return new Option(flags, description).choices(STATES)
}

/** How a command prints rows. */
export type RowsFormat = 'table' | 'json'

export function rowsFormatOption(description = 'how to print them'): Option {
  return formatOption(description, ['table', 'json'])
}

/** The first format is the default. */
export function formatOption(description: string, formats: readonly string[]): Option {
  return new Option('--format <format>', description).choices(formats).default(formats[0])
}

export function dryRunOption(): Option {
  return new Option('--dry-run', 'only print what would be done')
}

/** How a command says what it did. */
export type ChangeFormat = 'text' | 'json'

export function changeFormatOption(): Option {
  return formatOption('what to print', ['text', 'json'])
}

/** The options of a command that takes a state's fields. */
export interface FieldOptions {
  readonly format: ChangeFormat
  readonly cgroupPath?: string
  readonly blockIndex?: number
  readonly memoryBlockSize?: number
  readonly hotplugProbe?: boolean
}

export function addFieldOptions(command: Command): Command {
  return command
    .addArgument(idArgument())
    .option('--cgroup-path <path>', "the cgroup that holds the sandbox's processes")
    .option(
      '--block-index <n>',
      'the index of the block device passed to the hypervisor',
      integer('blockIndex'),
    )
    .option(
      '--memory-block-size <n>',
      "the size of the guest's memory blocks, in MiB",
      integer('guestMemoryBlockSize'),
    )
    .option('--hotplug-probe', "the guest's kernel can probe hotplugged memory")
}

/** The fields that were given, and no others. */
export function givenFields(options: FieldOptions): Partial<SandboxState> {
  const { cgroupPath, blockIndex, memoryBlockSize, hotplugProbe } = options
  return {
    ...(cgroupPath === undefined ? {} : { cgroupPath }),
    ...(blockIndex === undefined ? {} : { blockIndex }),
    ...(memoryBlockSize === undefined ? {} : { guestMemoryBlockSize: memoryBlockSize }),
    ...(hotplugProbe === undefined ? {} : { guestMemoryHotplugProbe: hotplugProbe }),
  }
}

/** Text such as `1e3` or the empty one is a number to JavaScript, but hardly one to a user. */
function integer(name: FieldName): (text: string) => unknown {
  const field = fieldNamed(name)
  return text => {
    const value = field?.parse(text)
    if (value === undefined) throw new InvalidArgumentError(`It must be ${field?.expected}.`)
    return value
  }
}

function seconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be in seconds, such as 2 or 0.5.')
  return Number(text)
}

/** The longest that a timer takes, in seconds: some 24 days. */
const LONGEST_TIMER = Math.floor((2 ** 31 - 1) / 1000)

export function timerSeconds(text: string): number {
  const value = seconds(text)
  if (value > LONGEST_TIMER) throw new InvalidArgumentError(`It must be ${LONGEST_TIMER} seconds at most.`)
  return value
}
