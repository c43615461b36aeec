import type { HistoryEntry } from '../backend.js'
import { parseRecord, type Shape } from '../record.js'
import { isCount, isText, RECORDED_CHANGE } from '../recorded-change.js'

/** One line of a history file. */
export interface HistoryLine extends HistoryEntry {
  /** The version of the state file after the change: see `versionOf`. */
  readonly file?: string
}

/**
 * The entries in a history's text, oldest first. An entry has a `gap` if the line before it is damaged or missing, or does
 * not lead to it. Lines before a create belong to an earlier sandbox of the same id.
 */
export function entriesOf(text: string): HistoryEntry[] {
  let entries: HistoryEntry[] = []
  let damaged = false
  for (const line of text.split('\n')) {
    if (line === '') continue
    const parsed = parseLine(line)
    if (parsed === undefined) {
      damaged = true
      continue
    }
    const { file: _, ...entry } = parsed
    if (entry.from === null) {
      entries = [entry]
    } else {
      const before = entries.at(-1)
      const follows = before === undefined || (entry.seq === before.seq + 1 && entry.from === before.to)
      entries.push(damaged || !follows ? { ...entry, gap: true } : entry)
    }
    damaged = false
  }
  return entries
}

/** The number, from 1, of the first malformed line of a history; undefined when there is none. */
export function firstBadLine(text: string): number | undefined {
  const index = text.split('\n').findIndex(line => line !== '' && parseLine(line) === undefined)
  return index === -1 ? undefined : index + 1
}

/** What the next line is based on. */
export type LastLine = Pick<HistoryLine, 'seq' | 'to' | 'file'>

/** The last well-formed line of a text, on which the next one is based. A malformed one after it remains in the file. */
export function lastLine(text: string): LastLine | undefined {
  for (let end = text.length; end > 0; ) {
    const start = text.lastIndexOf('\n', end - 1) + 1
    const line = start === end ? undefined : parseLine(text.slice(start, end))
    if (line?.file !== undefined) return line
    end = start - 1
  }
  return undefined
}

function parseLine(text: string): HistoryLine | undefined {
  return parseRecord(text, LINE)
}

const LINE: Shape<HistoryLine> = {
  seq: value => isCount(value) && value > 0,
  ...RECORDED_CHANGE,
  gap: value => value === undefined || value === true,
  file: value => value === undefined || isText(value, 256),
}
