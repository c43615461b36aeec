import { Option } from 'commander'
import type { StoredSandbox } from '../../backend.js'
import { STATES } from '../../state/machine.js'
import type { CommandSpec } from '../command.js'
import { objectJson } from '../json.js'
import { labelOption } from '../labels.js'
import { CHANGE_FORMAT, DRY_RUN, olderThanOption } from '../options.js'
import { counted } from '../words.js'

export const command: CommandSpec = {
  description:
    'Delete sandboxes that have not changed for some time: those that are stopped, or in another state.',
  notes: `It prints the id of each one that it deleted, one a line; with --format json one
array of {id, state: {...}, changedAt, revision}, as they were.

Any change counts, of labels or data, too. A sandbox that somebody changes
meanwhile stays, and so does one that is running or cannot be read.`,
  examples: [
    ['prune --older-than 7d --dry-run', 'what it would delete'],
    ['prune --older-than 7d', 'do it'],
    ['prune --older-than 1h --label team=x', "only one team's"],
  ],
  done: 'they are deleted (with --dry-run: would be)',
  failed: 'LOCK_TIMEOUT or IO_ERROR; what was printed before is deleted',
  takes: [
    olderThanOption().makeOptionMandatory(),
    new Option('--state <state>', 'only those in this state')
      .choices(STATES.filter(state => state !== 'running'))
      .default('stopped'),
    labelOption('only those with this label'),
    DRY_RUN,
    CHANGE_FORMAT,
  ],
  run: (
    cli,
    { olderThan = Number.POSITIVE_INFINITY, state = 'stopped', label: labels = {}, dryRun = false, format },
  ) =>
    cli.withStore(async store => {
      let count = 0
      const pruned = async function* (): AsyncGenerator<StoredSandbox> {
        for await (const entry of store.prune({ olderThan, state, labels, dryRun })) {
          count++
          yield entry
        }
      }
      if (format === 'json') await cli.printJson(pruned(), entry => objectJson(entry))
      else for await (const { id } of pruned()) await cli.out.write(`${id}\n`)
      const sandboxes = counted(count, 'sandbox', 'sandboxes')
      await cli.remark(`${sandboxes} ${dryRun ? 'would be deleted from' : 'deleted from'} ${cli.rootWords}`)
    }),
}
