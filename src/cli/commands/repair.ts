import type { Repair } from '../../check.js'
import { visible } from '../../state/show.js'
import type { SandboxStore } from '../../store.js'
import { byPath, type Cli } from '../cli.js'
import type { Define } from '../commands.js'
import { EXIT } from '../errors.js'
import { describe } from '../help.js'
import { dryRunOption, type RowsFormat, rowsFormatOption } from '../options.js'
import type { Row } from '../table.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description:
      'Set aside what is damaged and sweep up what killed processes left. Never loses or invents a state.',
    notes: `Name the right root: a file with the name of one of a store's files is taken for
the store's. Folders in which nothing has such a name are left alone.

Each fault is looked at again under the sandbox's locks, as for a change, so
that it can run beside other processes.

Actions, which --dry-run only plans:
  moved    to ROOT/.quarantine, with a note of why
  removed  a leftover, which held no state
  chmod    the mode was set right
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
  })
    .addOption(dryRunOption())
    .addOption(rowsFormatOption())
    .action(({ dryRun = false, format }: { readonly dryRun?: boolean; readonly format: RowsFormat }) =>
      cli.withStore(command, async store => {
        const repairs = await repairWithProgress(store, cli, dryRun)
        await cli.warnOfMissingRoot(command)
        if (repairs.some(isUnrepaired)) cli.status = EXIT.failed
        const headings = [dryRun ? 'PLANNED' : 'ACTION', 'FAULT', 'SANDBOX', 'WHAT IT IS']
        await cli.printRows(format, repairs, headings, rowOf)
        if (repairs.length === 0) await cli.remark(`no fault in ${cli.rootWords(command)}`)
      }),
    )

/** Whether the fault is still there. */
async function repairWithProgress(
  store: SandboxStore,
  cli: Cli,
  dryRun: boolean,
): Promise<readonly Repair[]> {
  using progress = cli.progress('sandboxes looked at')
  return (await store.repair({ dryRun, onProgress: count => progress.at(count) })).toSorted(byPath)
}

function isUnrepaired({ action }: Repair): boolean {
  return action === 'left' || action === 'busy' || action === 'failed'
}

function rowOf(repair: Repair): Row {
  const { action, code, id, message, to } = repair
  return [
    { text: action, color: isUnrepaired(repair) ? 'red' : 'green' },
    code,
    id ?? '-',
    visible(to === undefined ? message : `${message}; to ${to}`),
  ]
}
