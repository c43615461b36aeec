import { Option } from 'commander'
import { STATES } from '../../state/machine.js'
import type { CommandSpec } from '../command.js'
import { WITH_LABEL } from '../labels.js'
import { CHANGE_FORMAT, DRY_RUN, olderThanOption } from '../options.js'
import { printSweep } from '../sweep.js'
import { counted } from '../words.js'

export const command: CommandSpec = {
  description: 'Delete the stopped sandboxes that have not changed for some time.',
  notes: `It prints the ids of those that it deleted, one per line; with --format json it
prints one array of {id, state: {...}, changedAt, revision}, as they were.

Any change counts, also one of labels or data. A sandbox that somebody changes
meanwhile stays, and so does one that is running or cannot be read.`,
  examples: [
    ['prune --older-than 7d --dry-run', 'what it would delete'],
    ['prune --older-than 7d', 'do it'],
    ['prune --older-than 1h --label team=x', "one team's only"],
  ],
  done: 'they are deleted (with --dry-run: would be)',
  failed:
    'LOCK_TIMEOUT (somebody held one of them; the others are deleted) or IO_ERROR; those that were printed are deleted',
  takes: [
    olderThanOption('required: ').makeOptionMandatory(),
    new Option('--state <state>', 'only those in this state')
      .choices(STATES.filter(state => state !== 'running'))
      .default('stopped'),
    WITH_LABEL,
    DRY_RUN,
    CHANGE_FORMAT,
  ],
  run: (
    cli,
    { olderThan = Number.POSITIVE_INFINITY, state = 'stopped', label: labels = {}, dryRun = false, format },
  ) =>
    cli.withStore(async store => {
      const done = dryRun ? 'would be deleted' : 'deleted'
      const summary = (count: number) =>
        `${counted(count, 'sandbox', 'sandboxes')} ${done} from ${cli.rootWords}`
      await printSweep(cli, store.prune({ olderThan, state, labels, dryRun }), { format, summary })
    }),
}
