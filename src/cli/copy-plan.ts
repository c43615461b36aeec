import type { PlannedCopy } from '../copy.js'
import type { Cli } from './cli.js'
import { paint } from './colors.js'
import { EXIT } from './errors.js'
import { entryJson, jsonArray } from './json.js'
import { entryCells, LISTING_HEADINGS } from './listing.js'
import type { ChangeFormat } from './options.js'
import { headedLines, painted } from './table.js'
import { counted } from './words.js'

/** What is said of a sandbox that was copied. */
export type Done = 'copied' | 'imported'

/** Tells what a copy would do; its exit status is that of the copy. */
export async function tellPlan(
  cli: Cli,
  plan: readonly PlannedCopy[],
  format: ChangeFormat,
  done: Done,
): Promise<void> {
  if (plan.some(({ outcome }) => isFailure(outcome))) cli.status = EXIT.failed
  if (format === 'json') {
    await cli.out.write(jsonArray(plan.map(planned => entryJson(planned, { outcome: planned.outcome }))))
    return
  }
  const rows = plan.map(planned => [
    painted(planned.outcome, cli.colors && isFailure(planned.outcome) && paint('red')),
    ...entryCells(planned, cli.colors),
  ])
  await cli.printLines(headedLines(['OUTCOME', ...LISTING_HEADINGS], rows))
  await cli.tellPerson(summary(plan, done))
}

function isFailure(outcome: PlannedCopy['outcome']): boolean {
  return outcome === 'conflict' || outcome === 'unreadable'
}

function summary(plan: readonly PlannedCopy[], done: Done): string {
  const count = (wanted: PlannedCopy['outcome']) => plan.filter(({ outcome }) => outcome === wanted).length
  const conflicts = count('conflict')
  if (conflicts > 0) return `nothing would be ${done}: ${counted(conflicts, 'conflict', 'conflicts')}`
  return `${counted(count('new'), 'sandbox', 'sandboxes')} would be ${done}, ${count('same')} there already`
}
