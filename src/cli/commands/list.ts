import type { ListEntry } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { StateString } from '../../state/machine.js'
import type { Cli } from '../cli.js'
import type { Define } from '../commands.js'
import { EXIT, failureLine } from '../errors.js'
import { helpTail } from '../help.js'
import { entryJson } from '../json.js'
import { listingLines } from '../listing.js'
import { formatOption, stateOption } from '../options.js'
import type { Progress } from '../progress.js'

interface Options {
  readonly state?: StateString
  readonly format: keyof typeof PRINTERS
}

/** @param none what is said to people when there are none */
type Print = (entries: AsyncIterable<ListEntry>, cli: Cli, none: string) => Promise<void>

const PRINTERS = { table: printTable, json: printJson, ids: printIds } satisfies Record<string, Print>

export const define: Define = (command, cli) =>
  command
    .description('List the sandboxes and their states, sorted by id. Takes no lock and makes no file.')
    .addOption(stateOption('--state <state>', 'only those in this state'))
    .addOption(formatOption('how to print them', ['table', 'json', 'ids']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Formats:
  table  a line for each, in columns; without any sandbox no line at all
  json   one array of {id, state: {...}} and {id, error: {code, message}}
  ids    one id a line

A sandbox that cannot be read is listed whatever --state says: in a table with
the error's code for its state, with ids also on stderr. The others follow.`,
        examples: [
          ['list', 'all of them'],
          ['list --state running --format ids', 'the running ones'],
          ["list --format json | jq '.[] | select(.error)'", 'the broken ones'],
        ],
        done: 'listed',
        failed: 'a sandbox cannot be read, or the root cannot (IO_ERROR)',
      }),
    )
    .action(({ state, format }: Options) =>
      cli.withStore(command, async store => {
        const progress = cli.progress('sandboxes read', format !== 'table')
        const entries = shown(store.list(state === undefined ? {} : { state }), progress)
        const what = state === undefined ? 'sandboxes' : `sandboxes that are ${state}`
        await PRINTERS[format](entries, cli, `no ${what} in ${cli.rootWords(command)}`)
      }),
    )

/** Shows how many have been read, until the last of them. */
async function* shown(entries: AsyncIterable<ListEntry>, progress: Progress) {
  using _ = progress
  let count = 0
  for await (const entry of entries) {
    count += 1
    progress.at(count)
    yield entry
  }
}

/** The columns are as wide as their widest cells, so all of the entries are gathered before the first line. */
async function printTable(entries: AsyncIterable<ListEntry>, cli: Cli, none: string): Promise<void> {
  const rows: ListEntry[] = []
  for await (const entry of entries) {
    if ('error' in entry) cli.status = EXIT.failed
    rows.push(entry)
  }
  await cli.printLines(listingLines(rows, cli.colors))
  if (rows.length === 0) await cli.tellPerson(none)
}

async function printJson(entries: AsyncIterable<ListEntry>, cli: Cli): Promise<void> {
  let isFirst = true
  for await (const entry of entries) {
    await cli.out.write(`${isFirst ? '[\n' : ',\n'}  ${objectOf(entry, cli)}`)
    isFirst = false
  }
  await cli.out.write(isFirst ? '[]\n' : '\n]\n')
}

function objectOf(entry: ListEntry, cli: Cli): string {
  if ('error' in entry) cli.status = EXIT.failed
  try {
    return entryJson(entry)
  } catch (error) {
    // A file full of "<" is six times as long with each of them escaped, and may then be too long for a state.
    if (error instanceof StateStoreError) return objectOf({ id: entry.id, error }, cli)
    throw error
  }
}

async function printIds(entries: AsyncIterable<ListEntry>, cli: Cli): Promise<void> {
  for await (const entry of entries) {
    if ('error' in entry) {
      cli.status = EXIT.failed
      await cli.err.write(failureLine(entry.error))
    }
    await cli.out.write(`${entry.id}\n`)
  }
}
