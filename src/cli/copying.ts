import { type CopySource, copyStore, type PlannedCopy, planCopy } from '../copy.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import type { HelpText } from './command.js'
import { EXIT } from './errors.js'
import { objectJson } from './json.js'
import { COPY_COLUMNS, headings, listingRow } from './listing.js'
import { CHANGE_FORMAT, DRY_RUN, type Options } from './options.js'
import { counted } from './words.js'

/** What a command that copies calls what it did. */
export type Done = 'copied' | 'imported'

export const COPY_OPTIONS = [DRY_RUN, CHANGE_FORMAT]

/** What the helps of the commands that copy have in common. */
export function copyHelp(done: Done): Pick<HelpText, 'notes' | 'done' | 'failed'> {
  return {
    notes: `Nothing is overwritten: if the target already has one of the sandboxes, but in
another state, nothing is ${done} at all. Histories begin anew. First stop
everything that changes the source. If it is interrupted, run it again.

On a terminal it says in one line what it did. With --format json it prints
{copied, same, failed}, with the ids and errors of those that failed.

With --dry-run it prints each sandbox, after what would become of it:
  new         it would be ${done}
  same        it is there already, in just this state
  conflict    the target has it in another state: nothing would be ${done}
  unreadable  it would be left out
With --format json as well, it prints one array of {id, outcome, state: {...}}
and {id, outcome, error: {code, message}}.`,
    done: 'all of them are there (with --dry-run: would be)',
    failed: `ALREADY_EXISTS (nothing is ${done}), IO_ERROR, or some were left out: stderr names them`,
  }
}

/** Copies sandboxes into a store, and reports what was done, or would be done. */
export async function copyAndReport(
  cli: Cli,
  source: CopySource,
  target: SandboxStore,
  { dryRun, format }: Options,
  done: Done,
): Promise<void> {
  if (dryRun) return printPlan(cli, await planCopy(source, target), format)
  const { failed, ...counts } = await cli.withProgress('sandboxes copied', at =>
    copyStore(source, target, { onProgress: ({ done }) => at(done) }),
  )
  if (failed.length > 0) cli.status = EXIT.failed
  for (const { error } of failed) await cli.report(error, format === 'json')
  const sandboxes = counted(counts.copied, 'sandbox', 'sandboxes')
  if (format === 'text') return cli.remark(`${sandboxes} ${done}, ${counts.same} there already`)
  const errors = failed.map(({ id, error: { code, message } }) => ({ id, error: { code, message } }))
  await cli.out.write(`${JSON.stringify({ ...counts, failed: errors })}\n`)
}

/** Its exit status is that of the copy. */
async function printPlan(cli: Cli, plan: readonly PlannedCopy[], format: string): Promise<void> {
  const isFailure = ({ outcome }: PlannedCopy) => outcome === 'conflict' || outcome === 'unreadable'
  if (plan.some(isFailure)) cli.status = EXIT.failed
  if (format === 'json') return cli.printJson(plan, planned => objectJson(planned))
  const rows = plan.map(planned => [
    { text: planned.outcome, color: isFailure(planned) ? ('red' as const) : undefined },
    ...listingRow(planned, COPY_COLUMNS),
  ])
  await cli.printTable(['OUTCOME', ...headings(COPY_COLUMNS)], rows)
}
