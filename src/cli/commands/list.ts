import { Option } from 'commander'
import type { ListEntry } from '../../backend.js'
import { STATES } from '../../state/machine.js'
import { type Cli, collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { EXIT } from '../errors.js'
import { objectJson } from '../json.js'
import { LISTING_HEADINGS, listingRow } from '../listing.js'
import { formatOption } from '../options.js'

export const command: CommandSpec = {
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
  takes: [
    new Option('--state <state>', 'only those in this state').choices(STATES),
    formatOption('how to print them', ['table', 'json', 'ids']),
  ],
  run: (cli, { state, format }) =>
    cli.withStore(async store => {
      const entries = noted(store.list(state === undefined ? {} : { state }), cli)
      if (format === 'json') return cli.printJson(entries, entry => objectJson(entry, () => noteFailure(cli)))
      if (format === 'ids') return printIds(entries, cli)
      const rows = (await collect(entries)).map(listingRow)
      await cli.printTable(LISTING_HEADINGS, rows)
      const what = state === undefined ? 'sandboxes' : `sandboxes that are ${state}`
      if (rows.length === 0) await cli.remark(`no ${what} in ${cli.rootWords}`)
    }),
}

function noteFailure(cli: Cli): void {
  cli.status = EXIT.failed
}

/** Notes a bad entry in the exit status. */
async function* noted(entries: AsyncIterable<ListEntry>, cli: Cli) {
  for await (const entry of entries) {
    if ('error' in entry) noteFailure(cli)
    yield entry
  }
}

async function printIds(entries: AsyncIterable<ListEntry>, cli: Cli): Promise<void> {
  for await (const entry of entries) {
    if ('error' in entry) await cli.report(entry.error, false)
    await cli.out.write(`${entry.id}\n`)
  }
}
