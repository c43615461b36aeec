import type { Repair, RepairAction } from '../../check.js'
import { visible } from '../../state/show.js'
import type { SandboxStore } from '../../store.js'
import type { Cli } from '../cli.js'
import { paint } from '../colors.js'
import type { Define } from '../commands.js'
import { EXIT } from '../errors.js'
import { helpTail } from '../help.js'
import { jsonRows } from '../json.js'
import { dryRunOption, formatOption } from '../options.js'
import { headedLines, painted, type Row } from '../table.js'
import { counted } from '../words.js'

interface Options {
  readonly dryRun?: boolean
  readonly format: 'table' | 'json'
}

/** After these the fault is still there. */
const UNREPAIRED: ReadonlySet<RepairAction> = new Set(['left', 'busy', 'failed'])

export const define: Define = (command, cli) =>
  command
    .description(
      'Set aside what is damaged and sweep up what killed processes left. Loses and invents no state.',
    )
    .addOption(dryRunOption())
    .addOption(formatOption('how to print it', ['table', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Name the right root: a file with the name of one of a store's is taken for it,
whosever it is. Folders in which nothing has such a name are left alone.

Each fault is looked at again under the sandbox's locks, as for a change, so
that it can run beside other processes.

Actions:
  moved    to ROOT/.quarantine, with a note of why
  removed  a leftover, which held no state
  chmod    the mode was set right
  left     for somebody who knows what it is
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
      }),
    )
    .action(({ dryRun = false, format }: Options) =>
      cli.withStore(command, async store => {
        const repairs = await repairWithProgress(store, cli, dryRun)
        await cli.warnOfMissingRoot(command)
        const sorted = repairs.toSorted((one, other) => (one.path < other.path ? -1 : 1))
        if (sorted.some(({ action }) => UNREPAIRED.has(action))) cli.status = EXIT.failed
        if (format === 'json') await cli.out.write(jsonRows(sorted))
        else {
          await cli.printLines(
            headedLines(
              HEADINGS,
              sorted.map(repair => row(repair, dryRun, cli.colors)),
            ),
          )
          await cli.tellPerson(summary(sorted, dryRun, cli.rootWords(command)))
        }
      }),
    )

async function repairWithProgress(store: SandboxStore, cli: Cli, dryRun: boolean) {
  using progress = cli.progress('sandboxes looked at')
  return await store.repair({ dryRun, onProgress: count => progress.at(count) })
}

const HEADINGS = ['ACTION', 'FAULT', 'SANDBOX', 'WHAT IT IS']

/** For people. What a dry run cannot do, it would not do either. */
const INTENTIONS: Readonly<Record<RepairAction, string>> = {
  moved: 'would move',
  removed: 'would remove',
  chmod: 'would chmod',
  left: 'would leave',
  busy: 'busy',
  failed: 'failed',
}

function row({ action, code, id, message, to }: Repair, dryRun: boolean, colors: boolean): Row {
  const where = to === undefined ? '' : `; to ${to}`
  return [
    painted(dryRun ? INTENTIONS[action] : action, colors && paint(UNREPAIRED.has(action) ? 'red' : 'green')),
    { text: code },
    { text: id ?? '-' },
    { text: visible(message + where) },
  ]
}

function summary(repairs: readonly Repair[], dryRun: boolean, root: string): string {
  if (repairs.length === 0) return `no fault in ${root}`
  const unrepaired = repairs.filter(({ action }) => UNREPAIRED.has(action)).length
  const faults = counted(repairs.length, 'fault', 'faults')
  return `${faults} in ${root}; ${dryRun ? 'would be left' : 'left'}: ${unrepaired}`
}
