import { Option } from 'commander'
import type { ListEntry } from '../../backend.js'
import { STATES } from '../../state/machine.js'
import type { ListOptions } from '../../store-types.js'
import { type Cli, collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { EXIT } from '../errors.js'
import { objectJson } from '../json.js'
import { WITH_LABEL } from '../labels.js'
import { headings, listColumns, listingRow } from '../listing.js'
import { formatOption, type Options, olderThanOption } from '../options.js'

export const command: CommandSpec = {
  description: 'List the sandboxes and their states, sorted by id. Takes no lock and creates no file.',
  notes: `Formats:
  table  one line per sandbox, in columns; nothing if there are none
  json   one array of {id, state: {...}, changedAt, revision, owner?} and
         {id, error: {code, message}}
  ids    one id per line

CHANGED is the time since the sandbox's last change of any kind. OWNER is who
took it; if that process has ended, a child that inherited it still owns it.

A sandbox that cannot be read is always listed, even if a filter is given. The
table shows the error code in place of its state; with ids the error is on
stderr.`,
  examples: [
    ['list', 'all of them'],
    ['list --state running --format ids', 'the running ones'],
    ['list --label team=x --older-than 1h', "one team's, unchanged for an hour"],
    ["list --json | jq '.[] | select(.error)'", 'the broken ones'],
  ],
  done: 'listed',
  failed: 'a sandbox cannot be read, or the root cannot (IO_ERROR)',
  takes: [
    new Option('--state <state>', 'only those in this state').choices(STATES),
    WITH_LABEL,
    olderThanOption(),
    new Option('--orphaned', 'only those whose owner died without releasing them'),
    new Option('--wide', "show Kata's own fields, too"),
    formatOption('how to print them', ['table', 'json', 'ids']),
  ],
  run: (cli, { wide = false, format, ...wanted }) =>
    cli.withStore(async store => {
      const now = Date.now()
      const entries = noted(store.list(filter(wanted, now)), cli)
      if (format === 'json') return cli.printJson(entries, entry => objectJson(entry, () => noteFailure(cli)))
      if (format === 'ids') return printIds(entries, cli)
      const columns = listColumns(wide, now)
      const rows = (await collect(entries)).map(entry => listingRow(entry, columns))
      await cli.printTable(headings(columns), rows)
      if (rows.length === 0) await cli.remark(`no ${what(wanted)} in ${cli.rootWords}`)
    }),
}

type Wanted = Pick<Options, 'state' | 'label' | 'olderThan' | 'orphaned'>

function filter({ state, label, olderThan, orphaned }: Wanted, now: number): ListOptions {
  return {
    ...(state && { state }),
    ...(orphaned && { owner: 'orphaned' as const }),
    ...(label && { labels: label }),
    ...(olderThan !== undefined && { changedBefore: new Date(Math.max(now - olderThan, 0)) }),
  }
}

function what({ state, label, olderThan, orphaned }: Wanted): string {
  if (label !== undefined || olderThan !== undefined || orphaned) return 'such sandboxes'
  return state === undefined ? 'sandboxes' : `sandboxes that are ${state}`
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
