import { Argument, InvalidArgumentError, Option } from 'commander'
import { MAX_REASON } from '../options.js'
import { type FieldName, fieldNamed } from '../state/fields.js'
import type { Labels } from '../state/labels.js'
import type { StateString } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'
import type { ChangeOptions } from '../store-types.js'
import { UsageError } from './errors.js'
import { UNITS } from './words.js'

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
  readonly label?: Labels
  readonly unlabel?: readonly string[]
  /** False for `--no-data`; a value of its own, as data may be `false`, too. */
  readonly data?: { readonly value: unknown } | false
  readonly reason?: string
  /** In ms. */
  readonly olderThan?: number
  readonly wide?: boolean
  readonly orphaned?: boolean
  readonly create?: boolean
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

export const DATA = new Option('--data <json>', 'your own data, as JSON').argParser(parseData)

export const REASON = new Option('--reason <text>', 'why, for the history').argParser(text => {
  if (text.length <= MAX_REASON) return text
  throw new UsageError(`--reason must have at most ${MAX_REASON} characters`)
})

/** A new one each time, as a command may make it mandatory. */
export function olderThanOption(before = ''): Option {
  const description = `${before}only those unchanged for this long, such as 90s, 30m, 2h or 7d`
  return new Option('--older-than <time>', description).argParser(milliseconds)
}

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
  const fields = Object.fromEntries(given.filter(([, value]) => value !== undefined))
  return options.data ? { ...fields, data: options.data.value } : fields
}

/** How a change is to be made. */
export function changeOptions({ reason }: Options): ChangeOptions {
  return reason === undefined ? {} : { reason }
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

const STRING_OR_NUMBER = /"(?:[^"\\]+|\\.)*"|[-\d][\d.eE+-]*/g

/** Commander would repeat all of the text in its error. */
function parseData(text: string): { readonly value: unknown } {
  const value = parseJson(text)
  const unfit = text.match(STRING_OR_NUMBER)?.find(token => !token.startsWith('"') && isRounded(token))
  if (unfit === undefined) return { value }
  throw new UsageError(`the number ${unfit} in --data would be rounded: write it as a string`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(
      `--data must be JSON, such as '{"a":1}' with these quotes: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** As for the fields: an integer is kept digit by digit or refused. */
function isRounded(number: string): boolean {
  return /^-?\d+$/.test(number) ? !Number.isSafeInteger(Number(number)) : !Number.isFinite(Number(number))
}

function milliseconds(text: string): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  if (count === undefined) {
    throw new InvalidArgumentError('It must be a number and a unit: ms, s, m, h or d, such as 90m.')
  }
  return Number(count) * (UNITS.get(unit) ?? 1)
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
