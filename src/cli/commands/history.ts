import type { HistoryEntry } from '../../backend.js'
import { ownError, StateStoreError } from '../../errors.js'
import { visible } from '../../state/show.js'
import { collect } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { ID, ROWS_FORMAT } from '../options.js'
import { type Row, STATE_COLORS } from '../table.js'
import { ago, whoWords } from '../words.js'

export const command: CommandSpec = {
  description: "Print a sandbox's recorded changes, oldest first. Takes no lock and creates no file.",
  notes: `Formats:
  table  a line for each, with who made the change
  json   one array of {seq, time, from, to, fields, pid, host, command, gap}

A line "not recorded" marks a gap, because a process was killed or the disk was
full. The last changes are kept, about 128 KiB.`,
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
      const now = Date.now()
      const rows = entries.flatMap((entry, at) => rowsOf(entry, at === 0, now))
      if (current !== entries.at(-1)?.to) rows.push(gap(`not recorded, now ${current}`))
      await cli.printTable(['SEQ', 'TIME', 'AGO', 'CHANGE', 'BY'], rows)
    }),
}

function rowsOf(entry: HistoryEntry, isFirst: boolean, now: number): Row[] {
  const { seq, time, from, to } = entry
  const row: Row = [
    { text: String(seq), align: 'right' },
    time.replace(/\.\d+/, ''),
    ago(time, now),
    { text: changeWords(entry), color: from === to ? undefined : STATE_COLORS[to] },
    whoWords(entry),
  ]
  const isCut = isFirst && from !== null
  if (isCut && seq > 1) return [gap('older changes are not kept'), row]
  return isCut || entry.gap === true ? [gap('not recorded'), row] : [row]
}

function gap(words: string): Row {
  return [{ text: '?', align: 'right' }, '-', '-', { text: words, color: 'yellow' }]
}

function changeWords({ from, to, fields = [] }: HistoryEntry): string {
  if (from === null) return `created, ${to}`
  const parts = [...(from === to ? [] : [`${from} -> ${to}`]), ...fields.map(visible)]
  return parts.length === 0 ? 'no known field' : parts.join(', ')
}
