import type { CommandSpec } from '../command.js'
import { EXIT } from '../errors.js'
import { ORPHAN_COLUMNS } from '../listing.js'
import { formatOption } from '../options.js'
import { printSweep } from '../sweep.js'

export const command: CommandSpec = {
  description:
    'List the orphans: sandboxes that are said to be running or paused, but whose owner died without releasing them. Changes nothing.',
  notes: `After a reboot all that were owned are orphans. A sandbox that never had an
owner is not one. One that cannot be read is left out: see "list".

Formats:
  table  one line per orphan, in columns; nothing if there are none
  json   one array of {id, state: {...}, changedAt, revision, owner}
  ids    one id per line`,
  examples: [
    ['orphans', 'all of them'],
    ['orphans > /dev/null || sandbox-state reap', 'stop them, if there are any'],
  ],
  done: 'there are no orphans',
  failed: 'there are some, or the root cannot be read (IO_ERROR)',
  takes: [formatOption('how to print them', ['table', 'json', 'ids'])],
  run: (cli, { format }) =>
    cli.withStore(async store => {
      const count = await printSweep(cli, store.orphans(), { format, columns: ORPHAN_COLUMNS })
      if (count > 0) cli.status = EXIT.failed
      else if (format === 'table') await cli.remark(`no orphans in ${cli.rootWords}`)
    }),
}
