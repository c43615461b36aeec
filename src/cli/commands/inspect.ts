import type { LockHolder, Owner } from '../../backend.js'
import type { Finding } from '../../check.js'
import { visible } from '../../state/show.js'
import type { Inspection } from '../../store-types.js'
import type { Cli } from '../cli.js'
import type { CommandSpec } from '../command.js'
import { HISTORY_HEADINGS, historyRows } from '../history-table.js'
import { inspectionPage, statePage } from '../json.js'
import { formatOption, ID } from '../options.js'
import { type Cell, type Row, STATE_COLORS, tableLines } from '../table.js'
import { ago, faultWords, holderWords, whoWords } from '../words.js'

export const command: CommandSpec = {
  description:
    'Print everything known about one sandbox. Creates no file, and takes no lock but for a moment to confirm a fault.',
  notes: `Formats:
  text   a page for people
  json   one object of {id, state: {...}, changedAt, revision, since, owner,
         lock, history, findings}

"since" is when it entered its state, "changedAt" when anything in it last
changed, "owner" who owns it, or owned it when it died, "lock" who holds it
now; both may be null. "history" has the last 10 changes, "findings" what check
finds wrong with it.`,
  examples: [
    ['inspect a', 'look at it'],
    ["inspect a --json | jq -r '.history[-1].reason'", 'why it changed last'],
  ],
  done: 'printed',
  failed: 'NOT_FOUND, INVALID_ID, CORRUPT_STATE, INVALID_STATE or IO_ERROR',
  takes: [ID, formatOption('text on a terminal, else json', ['text', 'json']).default(undefined)],
  run: (cli, { format = cli.out.isTerminal ? 'text' : 'json' }, id) =>
    cli.withStore(async store => {
      const inspection = await store.inspect(id)
      if (format === 'json') await cli.out.write(inspectionPage(inspection))
      else await cli.printLines(page(inspection, cli, Date.now()))
    }),
}

function page(inspection: Inspection, { colors }: Cli, now: number): string[] {
  const { state, history, findings } = inspection
  const table = (rows: readonly Row[]) => tableLines(rows, colors)
  const changes = history[0]?.from === null ? 'Changes' : `Last ${history.length} changes`
  return [
    ...table(facts(inspection, now)),
    ...section('State', statePage(state).trimEnd().split('\n')),
    ...section(changes, table([HISTORY_HEADINGS, ...historyRows(history, now)]), history.length),
    ...section('Faults', table(findings.map(faultRow)), findings.length),
  ]
}

function section(title: string, lines: readonly string[], count = 1): string[] {
  return count === 0 ? [] : ['', title, ...lines.map(line => `  ${line}`)]
}

function facts({ id, state, changedAt, revision, since, lock, owner }: Inspection, now: number): Row[] {
  return [
    ['Id', id],
    ['State', { text: state.state, color: STATE_COLORS[state.state] }],
    ['Since', `${since} (${ago(since, now)})`],
    ['Changed', `${changedAt} (${ago(changedAt, now)})`],
    ['Revision', visible(revision)],
    ['Locked by', lock === null ? '-' : sinceWords(holderWords(lock), lock, now)],
    ['Owner', owner === null ? '-' : ownerCell(owner, now)],
  ]
}

function ownerCell(owner: Owner, now: number): Cell | string {
  const words = sinceWords(whoWords(owner), owner, now)
  return owner.state === 'owned' ? words : { text: `orphaned by ${words}`, color: 'red' }
}

function sinceWords(words: string, { since }: Pick<LockHolder, 'since'>, now: number): string {
  return since === undefined ? words : `${words}, ${ago(since, now)}`
}

function faultRow(finding: Finding): Row {
  return [{ text: finding.code, color: 'red' }, faultWords(finding)]
}
