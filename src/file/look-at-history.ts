import { STATES } from '../state/machine.js'

/** The number, from 1, of the first line of a history file that is none; undefined when all are. */
export function firstBadLine(bytes: Uint8Array): number | undefined {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8').split('\n')
  const index = lines.findIndex(line => line !== '' && !isHistoryLine(line))
  return index === -1 ? undefined : index + 1
}

function isHistoryLine(line: string): boolean {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return false
  }
  if (typeof value !== 'object' || value === null) return false
  const { seq, time, from, to } = value as Readonly<Record<string, unknown>>
  return (
    Number.isSafeInteger(seq) && typeof time === 'string' && (from === null || isState(from)) && isState(to)
  )
}

function isState(value: unknown): boolean {
  return STATES.some(state => state === value)
}
