import * as z from 'zod'
import type { HistoryEntry } from '../backend.js'
import { STATES } from '../state/machine.js'

/** A line as it must be to be believed; the other keys, such as `file`, are for the writer. */
const Line = z.object({
  seq: z.int().positive(),
  time: z.iso.datetime(),
  from: z.enum(STATES).nullable(),
  to: z.enum(STATES),
  fields: z.array(z.string().max(64)).max(16).exactOptional(),
  pid: z.int().nonnegative(),
  host: z.string().max(256),
  command: z.string().max(1024),
  gap: z.literal(true).exactOptional(),
})

/**
 * The entries in a history's text, oldest first. Where a line is damaged or missing, or does not fit the one before,
 * the next one has a gap before it. What comes before a create is of an earlier sandbox of the same id.
 */
export function entriesOf(text: string): HistoryEntry[] {
  let entries: HistoryEntry[] = []
  let damaged = false
  for (const line of text.split('\n')) {
    if (line === '') continue
    const entry = parseLine(line)
    if (entry === undefined) {
      damaged = true
      continue
    }
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

/** The number, from 1, of the first line of a history that is none; undefined when all are. */
export function firstBadLine(text: string): number | undefined {
  const index = text.split('\n').findIndex(line => line !== '' && parseLine(line) === undefined)
  return index === -1 ? undefined : index + 1
}

function parseLine(line: string): HistoryEntry | undefined {
  try {
    return Line.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
