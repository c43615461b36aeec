import { isFault, type Repair } from '../../check.js'
import { visible } from '../../state/show.js'
import { byPath } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { EXIT } from '../errors.js'
import { DRY_RUN, ROWS_FORMAT } from '../options.js'
import { faultWords } from '../words.js'

export const command: CommandSpec = {
  description:
    'Set aside what is damaged and sweep up what killed processes left. Never loses or invents a state.',
  notes: `Name the right root: a file with the name of one of a store's files is taken for
the store's. Folders in which nothing has such a name are left alone.

Each fault is looked at again under the sandbox's locks, as for a change, so
that it can run beside other processes.

Actions, which --dry-run only plans:
  moved    to ROOT/.quarantine, with a note of why
  removed  a leftover, which held no state
  chmod    the mode was corrected
  left     it needs somebody who knows what it is
  busy     others held the sandbox for longer than --lock-timeout
  failed   the message says why

The formats are those of check; json is an array of {code, id, path, action, to,
message}.`,
  examples: [
    ['repair --dry-run', 'what it would do'],
    ['repair', 'do it'],
  ],
  done: 'no fault was found, or all of them are repaired (with --dry-run: would be)',
  failed: 'a fault is left, busy or failed, or the root cannot be read (IO_ERROR)',
  takes: [DRY_RUN, ROWS_FORMAT],
  run: (cli, { dryRun = false, format }) =>
    cli.withStore(async store => {
      const repairs = await cli.withProgress('sandboxes looked at', onProgress =>
        store.repair({ dryRun, onProgress }),
      )
      if (repairs.some(isUnrepaired)) cli.status = EXIT.failed
      const headings = [dryRun ? 'PLANNED' : 'ACTION', 'FAULT', 'SANDBOX', 'WHAT IT IS']
      await cli.printRows(format, repairs.toSorted(byPath), headings, repair => [
        { text: repair.action, color: isUnrepaired(repair) ? 'red' : 'green' },
        repair.code,
        repair.id ?? '-',
        faultWords(repair) + (repair.to === undefined ? '' : `; to ${visible(repair.to)}`),
      ])
      if (!repairs.some(isFault)) await cli.reportNoFault()
    }),
}

/** Whether the fault is still there. */
function isUnrepaired({ code, action }: Repair): boolean {
  return isFault({ code }) && (action === 'left' || action === 'busy' || action === 'failed')
}
