import type { StoredSandbox } from '../backend.js'
import { type Cli, collect } from './cli.js'
import { objectJson } from './json.js'
import { type Column, headings, listingRow } from './listing.js'

/** How to print what a sweep yields. */
interface SweepOutput<Entry> {
  /** `table`, `json`, or else one id per line. */
  readonly format: string
  readonly columns?: readonly Column<Entry>[]
  /** What to say on a terminal afterwards. */
  readonly summary?: (count: number) => string
}

/**
 * Prints what a sweep yields. If it fails, prints everything that it did before, and then throws its error.
 * @returns how many sandboxes it yielded
 */
export async function printSweep<Entry extends StoredSandbox>(
  cli: Cli,
  sweep: AsyncIterable<Entry>,
  { format, columns = [], summary }: SweepOutput<Entry>,
): Promise<number> {
  let count = 0
  let failure: unknown
  const untilFailure = async function* () {
    try {
      for await (const entry of sweep) {
        count++
        yield entry
      }
    } catch (error) {
      failure = error
    }
  }
  if (format === 'json') await cli.printJson(untilFailure(), entry => objectJson(entry))
  else if (format === 'table') {
    const rows = (await collect(untilFailure())).map(entry => listingRow(entry, columns))
    await cli.printTable(headings(columns), rows)
  } else {
    for await (const { id } of untilFailure()) {
      await cli.out.write(`${id}\n`)
      await cli.out.flush() // At once, so that an interrupted sweep has printed all that it did.
    }
  }
  if (summary !== undefined) await cli.remark(summary(count))
  if (failure !== undefined) throw failure
  return count
}
