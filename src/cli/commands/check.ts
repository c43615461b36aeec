import type { Finding } from '../../check.js'
import { visible } from '../../state/show.js'
import type { SandboxStore } from '../../store.js'
import { byPath, type Cli, collect } from '../cli.js'
import type { Define } from '../commands.js'
import { EXIT } from '../errors.js'
import { describe } from '../help.js'
import { type RowsFormat, rowsFormatOption } from '../options.js'
import type { Row } from '../table.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description:
      'Look for faults in every file below the root. Changes nothing, and may run beside other processes.',
    notes: `Faults are: states that are torn, empty, full of NULs or not valid; what a
killed process left (an unfinished create, temporary files, dead locks); links,
devices and other kinds of files; modes and owners that let others in; names
that are not ids; and sandboxes of another schema. A change in progress is not
a fault.

REPAIR says whether "sandbox-state repair" would act on it.

Formats:
  table  a line for each, in columns; without any fault no line at all
  json   one array of {code, id, path, message, repairable}`,
    examples: [
      ['check', 'all that is wrong'],
      ["check --format json | jq -r '.[].path'", 'just where'],
    ],
    done: 'no fault was found',
    failed: 'a fault was found, or the root cannot be read (IO_ERROR)',
  })
    .addOption(rowsFormatOption())
    .action(({ format }: { readonly format: RowsFormat }) =>
      cli.withStore(command, async store => {
        const findings = await checkWithProgress(store, cli)
        if (findings.length > 0) cli.status = EXIT.failed
        await cli.printRows(format, findings, ['FAULT', 'SANDBOX', 'REPAIR', 'WHAT IT IS'], rowOf)
        await cli.warnOfMissingRoot(command)
        if (findings.length === 0) await cli.remark(`no fault in ${cli.rootWords(command)}`)
      }),
    )

async function checkWithProgress(store: SandboxStore, cli: Cli): Promise<readonly Finding[]> {
  using progress = cli.progress('sandboxes checked')
  return (await collect(store.check({ onProgress: count => progress.at(count) }))).toSorted(byPath)
}

function rowOf({ code, id, repairable, message }: Finding): Row {
  return [{ text: code, color: 'red' }, id ?? '-', repairable ? 'yes' : 'no', visible(message)]
}
