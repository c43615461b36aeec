import { isFault } from '../../check.js'
import { byPath, collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { EXIT } from '../errors.js'
import { ROWS_FORMAT } from '../options.js'
import { faultWords } from '../words.js'

export const command: CommandSpec = {
  description:
    'Look for faults in every file below the root. Changes nothing, and may run beside other processes.',
  notes: `Faults are: states that are torn, empty, full of NULs or not valid; what a
killed process left (an unfinished create, temporary files, dead locks); links,
devices and other kinds of files; modes and owners that let others in; names
that are not ids. A change in progress is not a fault. Sandboxes of another
program, which are left alone, are listed but are not a fault either.

REPAIR says whether "sandbox-state repair" would act on it.

Formats:
  table  one line per fault, in columns; nothing if there are none
  json   one array of {code, id, path, message, repairable}`,
  examples: [
    ['check', 'all that is wrong'],
    ["check --format json | jq -r '.[].path'", 'just where'],
  ],
  done: 'no fault was found',
  failed: 'a fault was found, or the root cannot be read (IO_ERROR)',
  takes: [ROWS_FORMAT],
  run: (cli, { format }) =>
    cli.withStore(async store => {
      const findings = await cli.withProgress('sandboxes checked', onProgress =>
        collect(store.check({ onProgress })),
      )
      if (findings.some(isFault)) cli.status = EXIT.failed
      const headings = ['FAULT', 'SANDBOX', 'REPAIR', 'WHAT IT IS']
      await cli.printRows(format, findings.toSorted(byPath), headings, finding => [
        { text: finding.code, color: 'red' },
        finding.id ?? '-',
        finding.repairable ? 'yes' : 'no',
        faultWords(finding),
      ])
      if (!findings.some(isFault)) await cli.reportNoFault()
    }),
}
