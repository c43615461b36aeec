import { Argument, InvalidArgumentError, Option } from 'commander'
import { type FieldName, fieldNamed } from '../state/fields.js'
import type { StateString } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'

// The arguments and options that commands share.

/** Those that every command takes, before its name or after it. */
export interface GlobalOptions {
  readonly root?: string
  /** In seconds. */
  readonly lockTimeout: number
}

/** What the commands' own options say; a command has those that it takes. */
export interface Options {
  readonly format: string
  readonly state?: StateString
  readonly from?: StateString
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly keep?: boolean
  /** In seconds. */
  readonly timeout?: number
}

export const ID = new Argument('<id>', "the sandbox's name: letters, digits, _ . and -")

/** The first format is the default. */
export function formatOption(description: string, formats: readonly string[]): Option {
  return new Option('--format <format>', description).choices(formats).default(formats[0])
}

/** How a command prints rows. */
export const ROWS_FORMAT = formatOption('how to print them', ['table', 'json'])

/** How a command says what it did. */
export const CHANGE_FORMAT = formatOption('what to print', ['text', 'json'])

export const DRY_RUN = new Option('--dry-run', 'only print what would be done')

/** The option for each field of a state. */
const FIELDS: Readonly<Partial<Record<FieldName, Option>>> = {
  cgroupPath: new Option('--cgroup-path <path>', "the cgroup that holds the sandbox's processes"),
  blockIndex: new Option('--block-index <n>', 'the index of the block device passed to the hypervisor'),
  guestMemoryBlockSize: new Option(
    '--memory-block-size <n>',
    "the size of the guest's memory blocks, in MiB",
  ),
  guestMemoryHotplugProbe: new Option('--hotplug-probe', "the guest's kernel can probe hotplugged memory"),
}

export const FIELD_OPTIONS = Object.entries(FIELDS).map(([name, option]) =>
  option.flags.endsWith('<n>') ? option.argParser(integer(name)) : option,
)

/** The fields that were given, and no others. */
export function givenFields(options: Options): Partial<SandboxState> {
  const values = new Map<string, unknown>(Object.entries(options))
  const given = Object.entries(FIELDS).map(([name, option]) => [name, values.get(option.attributeName())])
  return Object.fromEntries(given.filter(([, value]) => value !== undefined))
}

/** Text such as `1e3` or the empty one is a number to JavaScript, but hardly one to a user. */
function integer(fieldName: string): (text: string) => unknown {
  const field = fieldNamed(fieldName)
  return text => {
    const value = field?.parse(text)
    if (value === undefined) throw new InvalidArgumentError(`It must be ${field?.expected}.`)
    return value
  }
}

export function seconds(text: string): number {
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
