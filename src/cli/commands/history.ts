import type { HistoryEntry } from '../../backend.js'
import { ownError, StateStoreError } from '../../errors.js'
import { collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { gapRow, HISTORY_HEADINGS, historyRows } from '../history-table.js'
import { ID, ROWS_FORMAT } from '../options.js'
import type { Row } from '../table.js'

export const command: CommandSpec = {
  description: "Print a sandbox's recorded changes, oldest first. Takes no lock and creates no file.",
  notes: `Formats:
  table  one line per change, with who made it, and why
  json   one array of {seq, time, from, to, fields, reason, pid, host, command,
         gap}

A line "not recorded" marks a gap: another program changed the file, a process
was killed before it wrote its line, or the disk was full. Only the last changes
are kept, about 128 KiB of them.`,
  examples: [
    ['history a', 'how it came to its state'],
    ["history a --format json | jq '.[-1].command'", 'what changed it last'],
  ],
  done: 'printed',
  failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE or IO_ERROR',
  takes: [ID, ROWS_FORMAT],
  run: (cli, { format }, id) =>
    cli.withStore(async store => {
      const entries = await collect(store.history(id))
      if (format === 'json') return cli.printJson(entries)
      const read = await store.read(id).catch(ownError)
      const current = read instanceof StateStoreError ? read.code : read.state
      if (entries.length === 0) return cli.remark(`nothing is recorded of ${id}, which is ${current}`)
      const rows = [...entries.slice(0, 1).flatMap(beginning), ...historyRows(entries, Date.now())]
      if (current !== entries.at(-1)?.to) rows.push(gapRow(`not recorded, now ${current}`))
      await cli.printTable(HISTORY_HEADINGS, rows)
    }),
}

/** What is missing before the first change that is kept. */
function beginning({ seq, from, gap }: HistoryEntry): Row[] {
  if (from !== null && seq > 1) return [gapRow('older changes are not kept')]
  return from !== null || gap === true ? [gapRow('not recorded')] : []
}
