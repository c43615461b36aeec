import type { Finding } from '../../check.js'
import { visible } from '../../state/show.js'
import type { SandboxStore } from '../../store.js'
import type { Cli } from '../cli.js'
import { paint } from '../colors.js'
import type { Define } from '../commands.js'
import { EXIT } from '../errors.js'
import { helpTail } from '../help.js'
import { jsonRows } from '../json.js'
import { formatOption } from '../options.js'
import { headedLines, painted, type Row } from '../table.js'
import { counted } from '../words.js'

interface Options {
  readonly format: 'table' | 'json'
}

export const define: Define = (command, cli) =>
  command
    .description(
      'Look for faults in every file below the root. Changes nothing, and may run beside other processes.',
    )
    .addOption(formatOption('how to print them', ['table', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Faults are: states that are torn, empty, full of NULs or not valid; what a
killed process left (an unfinished create, temporary files, dead locks); links,
devices and other kinds of files; modes and owners that let others in; names
that are no ids; and sandboxes of another schema. A change in progress is not
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
      }),
    )
    .action(({ format }: Options) =>
      cli.withStore(command, async store => {
        const { findings, sandboxes } = await checkWithProgress(store, cli)
        await cli.warnOfMissingRoot(command)
        findings.sort((one, other) => (one.path < other.path ? -1 : 1))
        if (findings.length > 0) cli.status = EXIT.failed
        if (format === 'json') await cli.out.write(jsonRows(findings))
        else {
          await cli.printLines(
            headedLines(
              HEADINGS,
              findings.map(finding => row(finding, cli.colors)),
            ),
          )
          await cli.tellPerson(summary(findings, sandboxes, cli.rootWords(command)))
        }
      }),
    )

async function checkWithProgress(store: SandboxStore, cli: Cli) {
  using progress = cli.progress('sandboxes checked')
  const findings: Finding[] = []
  let sandboxes = 0
  const onProgress = (count: number) => {
    sandboxes = count
    progress.at(count)
  }
  for await (const finding of store.check({ onProgress })) findings.push(finding)
  return { findings, sandboxes }
}

const HEADINGS = ['FAULT', 'SANDBOX', 'REPAIR', 'WHAT IT IS']

function row({ code, id, repairable, message }: Finding, colors: boolean): Row {
  return [
    painted(code, colors && paint('red')),
    { text: id ?? '-' },
    { text: repairable ? 'yes' : 'no' },
    { text: visible(message) },
  ]
}

function summary(findings: readonly Finding[], sandboxes: number, root: string): string {
  const where = `${counted(sandboxes, 'sandbox', 'sandboxes')} in ${root}`
  if (findings.length === 0) return `no fault in ${where}`
  const repairable = findings.filter(finding => finding.repairable).length
  return `${counted(findings.length, 'fault', 'faults')} in ${where}; repair would act on ${repairable}`
}
