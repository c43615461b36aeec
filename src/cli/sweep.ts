import type { StoredSandbox } from '../backend.js'
import { type Cli, collect } from './cli.js'
import { objectJson } from './json.js'
import { type Column, headings, listingRow } from './listing.js'

/** What a sweep yields. Its failure waits until all that it did before is printed. */
export class Sweep<T> implements AsyncIterable<T> {
  count = 0
  private failure: unknown

  constructor(private readonly items: AsyncIterable<T>) {}

  /** Ends at a failure. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for await (const item of this.items) {
        this.count++
        yield item
      }
    } catch (error) {
      this.failure = error
    }
  }

  throwFailure(): void {
    if (this.failure !== undefined) throw this.failure
  }
}

/** Prints what a sweep yields as a table, JSON or ids, and then throws its failure. */
export async function printSweep<T extends StoredSandbox>(
  sweep: Sweep<T>,
  columns: readonly Column<T>[],
  format: string,
  cli: Cli,
): Promise<void> {
  if (format === 'json') await cli.printJson(sweep, entry => objectJson(entry))
  else if (format === 'ids') await printIds(sweep, cli)
  else {
    const rows = (await collect(sweep)).map(entry => listingRow(entry, columns))
    await cli.printTable(headings(columns), rows)
  }
  sweep.throwFailure()
}

/** Each at once: should the sweep be interrupted, what it did was printed. */
export async function printIds(entries: AsyncIterable<{ readonly id: string }>, { out }: Cli): Promise<void> {
  for await (const { id } of entries) {
    await out.write(`${id}\n`)
    await out.flush()
  }
}
