import { Argument, type Command, InvalidArgumentError, Option } from 'commander'
import { isInt, isUint32, withoutNegativeZero } from '../state/fields.js'
import { STATES } from '../state/machine.js'
import type { CompleteFields } from '../state/sandbox-state.js'

// The arguments and options that commands share.

/** Those that every command takes, before its name or after it. */
export interface GlobalOptions {
  readonly root?: string
  /** In seconds. */
  readonly lockTimeout: number
}

export function rootOption(): Option {
  return new Option('--root <dir>', 'the folder that holds the sandboxes')
}

export function lockTimeoutOption(): Option {
  return new Option('--lock-timeout <seconds>', 'how long to wait for a locked sandbox')
    .argParser(seconds)
    .default(10)
}

export function idArgument(): Argument {
  return new Argument('<id>', "the sandbox's name: letters, digits, _ . and -")
}

export function optionalIdArgument(description: string): Argument {
  return new Argument('[id]', description)
}

export function stateArgument(name: string, description: string): Argument {
  return choiceArgument(name, description, STATES)
}

export function choiceArgument(name: string, description: string, choices: readonly string[]): Argument {
  return new Argument(`<${name}>`, description).choices(choices)
}

export function stateOption(flags: string, description: string): Option {
  return new Option(flags, description).choices(STATES)
}

/** The first format is the default. */
export function formatOption(description: string, formats: readonly [string, ...string[]]): Option {
  return formatOptionOf(description, formats).default(formats[0])
}

/** Without a default. */
export function formatOptionOf(description: string, formats: readonly string[]): Option {
  return new Option('--format <format>', description).choices(formats)
}

export function dryRunOption(): Option {
  return new Option('--dry-run', 'only print what would be done')
}

/** How a change tells what it made. */
export type ChangeFormat = 'text' | 'json'

export function changeFormatOption(): Option {
  return formatOption('what to print', ['text', 'json'])
}

/** The options of a command that is told a state's fields. */
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
    .option('--block-index <n>', 'the index of the block device passed to the hypervisor', int)
    .option('--memory-block-size <n>', "the size of the guest's memory blocks, in MiB", uint32)
    .option('--hotplug-probe', "the guest's kernel can probe hotplugged memory")
}

/** The fields that were given, and no others. */
export function givenFields(options: FieldOptions): Partial<CompleteFields> {
  const { cgroupPath, blockIndex, memoryBlockSize, hotplugProbe } = options
  return {
    ...(cgroupPath === undefined ? {} : { cgroupPath }),
    ...(blockIndex === undefined ? {} : { blockIndex }),
    ...(memoryBlockSize === undefined ? {} : { guestMemoryBlockSize: memoryBlockSize }),
    ...(hotplugProbe === undefined ? {} : { guestMemoryHotplugProbe: hotplugProbe }),
  }
}

const int = integer(isInt, '-(2^53 - 1) to 2^53 - 1')
const uint32 = integer(isUint32, '0 to 2^32 - 1')

/** Text such as `1e3` or the empty one is a number to JavaScript, but hardly one to a user. */
function integer(isInRange: (value: number) => boolean, range: string): (text: string) => number {
  return text => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!isInRange(value)) throw new InvalidArgumentError(`It must be an integer from ${range}.`)
    return withoutNegativeZero(value)
  }
}

function seconds(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be in seconds, such as 2 or 0.5.')
  return Number(text)
}

/** The longest that a timer takes, in seconds: some 24 days. */
const LONGEST_TIMER = Math.floor((2 ** 31 - 1) / 1000)

/** Seconds for a timer. */
export function timerSeconds(text: string): number {
  const value = seconds(text)
  if (value > LONGEST_TIMER) throw new InvalidArgumentError(`It must be ${LONGEST_TIMER} seconds at most.`)
  return value
}
