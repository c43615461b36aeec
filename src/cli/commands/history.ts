import type { HistoryEntry } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import type { StateString } from '../../state/machine.js'
import { visible } from '../../state/show.js'
import type { SandboxStore } from '../../store.js'
import { paint, paintState } from '../colors.js'
import type { Define } from '../commands.js'
import { helpTail } from '../help.js'
import { jsonRows } from '../json.js'
import { formatOption, idArgument } from '../options.js'
import { type Past, pastOf, type Stay } from '../past.js'
import { headedLines, painted, type Row } from '../table.js'
import { ago, duration, second } from '../times.js'
import { whoWords } from '../who.js'

interface Options {
  readonly format: 'table' | 'json'
}

export const define: Define = (command, cli) =>
  command
    .description("Print a sandbox's recorded changes, oldest first. Takes no lock and makes no file.")
    .addArgument(idArgument())
    .addOption(formatOption('how to print them', ['table', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Formats:
  table  a line for each, with how long it then stayed in that state and who
         made the change; below it how long it was in each state
  json   one array of {seq, time, from, to, fields, pid, host, command, gap}

A line "not recorded" stands where something happened that the history does not
tell, because a process was killed or the disk was full; how long the state
before it lasted is then unknown. The last changes are kept, about 128 KiB.`,
        examples: [
          ['history a', 'how it came to its state'],
          ["history a --format json | jq '.[-1].command'", 'what changed it last'],
        ],
        done: 'printed',
        failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE or IO_ERROR',
      }),
    )
    .action((id: string, { format }: Options) =>
      cli.withStore(command, async store => {
        const entries: HistoryEntry[] = []
        for await (const entry of store.history(id)) entries.push(entry)
        if (format === 'json') return cli.out.write(jsonRows(entries))
        const current = await currentState(store, id)
        if (entries.length === 0)
          return cli.tellPerson(`nothing is recorded of ${id}, which is ${current.text}`)
        const now = Date.now()
        const past = pastOf(entries, current.state, now)
        await cli.printLines(headedLines(HEADINGS, changeRows(entries, past, current, now, cli.colors)))
        await cli.printLines(['', ...headedLines(['STATE', 'FOR', 'SHARE'], totalRows(past, cli.colors))])
      }),
    )

const HEADINGS = ['SEQ', 'TIME', 'AGO', 'CHANGE', 'FOR', 'BY']

interface Current {
  /** Undefined when it cannot be told. */
  readonly state?: StateString
  readonly text: string
}

async function currentState(store: SandboxStore, id: string): Promise<Current> {
  try {
    const { state } = await store.read(id)
    return { state, text: state }
  } catch (error) {
    if (error instanceof StateStoreError) return { text: error.code }
    throw error
  }
}

function changeRows(
  entries: readonly HistoryEntry[],
  { stays }: Past,
  current: Current,
  now: number,
  colors: boolean,
): Row[] {
  const untold = (words: string): Row => [
    { text: '?', align: 'right' },
    { text: '-' },
    { text: '-' },
    painted(words, colors && paint('yellow')),
  ]
  const rows = entries.flatMap((entry, at): Row[] => {
    const row: Row = [
      { text: String(entry.seq), align: 'right' },
      { text: second(entry.time) },
      { text: ago(entry.time, now) },
      painted(changeWords(entry), colors && entry.from !== entry.to && paintState(entry.to)),
      { text: stayWords(stays.get(entry)) },
      { text: whoWords(entry) },
    ]
    const isDropped = at === 0 && entry.from !== null && entry.seq > 1
    if (isDropped) return [untold('older changes are not kept'), row]
    return entry.gap === true || (at === 0 && entry.from !== null) ? [untold('not recorded'), row] : [row]
  })
  if (current.state !== entries.at(-1)?.to) rows.push(untold(`not recorded, now ${current.text}`))
  return rows
}

function changeWords({ from, to, fields = [] }: HistoryEntry): string {
  const parts = from === null ? ['created', to] : from === to ? [] : [`${from} -> ${to}`]
  if (from !== null) parts.push(...fields.map(visible))
  return parts.length === 0 ? 'no known field' : parts.join(', ')
}

function stayWords(stay: Stay | undefined): string {
  if (stay === undefined) return ''
  if (stay.end !== 'unknown') return duration(stay.known)
  return stay.known > 0 ? `>${duration(stay.known)}` : '?'
}

function totalRows({ totals }: Past, colors: boolean): Row[] {
  const all = [...totals.values()].reduce((sum, time) => sum + time, 0)
  return [...totals].map(([state, time]) => [
    painted(state, colors && (state === 'unknown' ? paint('yellow') : paintState(state))),
    { text: duration(time), align: 'right' },
    { text: all === 0 ? '-' : `${Math.round((100 * time) / all)}%`, align: 'right' },
  ])
}
