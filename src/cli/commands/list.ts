import type { ListEntry } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { StateString } from '../../state/machine.js'
import { type Cli, collect } from '../cli.js'
import type { Define } from '../commands.js'
import { EXIT, failureLine } from '../errors.js'
import { describe } from '../help.js'
import { entryJson } from '../json.js'
import { LISTING_HEADINGS, listingRow } from '../listing.js'
import { formatOption, stateOption } from '../options.js'

interface Options {
  readonly state?: StateString
  readonly format: 'table' | 'json' | 'ids'
}

export const define: Define = (command, cli) =>
  describe(command, {
    description: 'List the sandboxes and their states, sorted by id. Takes no lock and creates no file.',
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
  })
    .addOption(stateOption('--state <state>', 'only those in this state'))
    .addOption(formatOption('how to print them', ['table', 'json', 'ids']))
    .action(({ state, format }: Options) =>
      cli.withStore(command, async store => {
        const entries = noted(store.list(state === undefined ? {} : { state }), cli)
        if (format === 'json') return printJson(entries, cli)
        if (format === 'ids') return printIds(entries, cli)
        const rows = (await collect(entries)).map(listingRow)
        await cli.printTable(LISTING_HEADINGS, rows)
        const what = state === undefined ? 'sandboxes' : `sandboxes that are ${state}`
        if (rows.length === 0) await cli.remark(`no ${what} in ${cli.rootWords(command)}`)
      }),
    )

/** Notes a bad entry in the exit status. */
async function* noted(entries: AsyncIterable<ListEntry>, cli: Cli) {
  for await (const entry of entries) {
    if ('error' in entry) cli.status = EXIT.failed
    yield entry
  }
}

/** A line at a time: all of it may be more than fits into memory. */
async function printJson(entries: AsyncIterable<ListEntry>, cli: Cli): Promise<void> {
  let isFirst = true
  for await (const entry of entries) {
    await cli.out.write(`${isFirst ? '[\n' : ',\n'}  ${objectOf(entry, cli)}`)
    isFirst = false
  }
  await cli.out.write(isFirst ? '[]\n' : '\n]\n')
}

function objectOf(entry: ListEntry, cli: Cli): string {
  try {
    return entryJson(entry)
  } catch (error) {
    // A file full of "<" is six times as long with each of them escaped, and may then be too long for a state.
    if (!(error instanceof StateStoreError)) throw error
    cli.status = EXIT.failed
    return entryJson({ id: entry.id, error })
  }
}

async function printIds(entries: AsyncIterable<ListEntry>, cli: Cli): Promise<void> {
  for await (const entry of entries) {
    if ('error' in entry) await cli.err.write(failureLine(entry.error))
    await cli.out.write(`${entry.id}\n`)
  }
}
