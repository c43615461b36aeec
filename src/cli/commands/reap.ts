import type { CommandSpec } from '../command.js'
import { REAPED_COLUMNS } from '../listing.js'
import { DRY_RUN, formatOption } from '../options.js'
import { printSweep } from '../sweep.js'
import { counted } from '../words.js'

export const command: CommandSpec = {
  description:
    'Move each orphan to stopped: each sandbox that is said to be running or paused, but whose owner died without releasing it.',
  notes: `Under the lock of each it looks again. What is owned, or was never owned, stays
as it is, and so does what somebody changes meanwhile.

Formats:
  table  one line per orphan, in columns; nothing if there are none
  json   one array of {id, state: {...}, changedAt, revision, owner, reason},
         each as it was before
  ids    one id per line`,
  examples: [
    ['reap --dry-run', 'what it would stop, and why'],
    ['reap', 'do it'],
  ],
  done: 'they are stopped (with --dry-run: would be), also when there were none',
  failed:
    'LOCK_TIMEOUT (somebody held one of them; the others are stopped) or IO_ERROR; those that were printed are stopped',
  takes: [DRY_RUN, formatOption('how to print them', ['table', 'json', 'ids'])],
  run: (cli, { dryRun = false, format }) =>
    cli.withStore(async store => {
      const done = dryRun ? 'would be stopped' : 'stopped'
      const summary = (count: number) => `${counted(count, 'orphan')} ${done} in ${cli.rootWords}`
      await printSweep(cli, store.reap({ dryRun }), { format, columns: REAPED_COLUMNS, summary })
    }),
}
