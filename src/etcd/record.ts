import type { HistoryEntry } from '../backend.js'
import { thisProcess } from '../process-identity.js'
import { changedFields } from '../state/changed-fields.js'
import { isValidState } from '../state/machine.js'
import type { SandboxState } from '../state/sandbox-state.js'
import { visible } from '../state/show.js'

/** Records that are kept of one sandbox: the newest. */
export const RECORDS = 100n

/** Who made a change, and when. */
interface Origin {
  /** The operation's id: what a transaction is known by when its answer was lost. */
  readonly op: string
  readonly time: string
  readonly pid: number
  readonly host: string
  readonly command: string
}

function originOf(op: string): Origin {
  const { pid, host, command } = thisProcess()
  return { op, time: new Date().toISOString(), pid, host, command }
}

/**
 * The text beside a state that tells of the change that made it.
 * @param told whether it tells more than the operation's id, and so is a line of the history
 */
export function changeRecord(
  op: string,
  before: SandboxState | undefined,
  after: SandboxState,
  told: boolean,
): string {
  if (!told) return JSON.stringify({ op })
  const fields = before === undefined ? [] : changedFields(before, after)
  const { time, pid, host, command } = originOf(op)
  const change = { from: before?.state ?? null, to: after.state, ...(fields.length === 0 ? {} : { fields }) }
  return JSON.stringify({ op, time, ...change, pid, host, command })
}

/** The text that tells of a deletion. */
export function deletionRecord(op: string, id: string): string {
  return JSON.stringify({ ...originOf(op), id })
}

/** The operation that a record is of; undefined when it is no record. */
export function operationOf(record: Uint8Array): string | undefined {
  const { op } = parse(record)
  return typeof op === 'string' ? op : undefined
}

/** Who made a recorded change, for a message; undefined when the record does not tell. */
export function whoMade(record: Uint8Array): string | undefined {
  const { pid, host, command } = parse(record)
  if (typeof pid !== 'number' || typeof host !== 'string' || typeof command !== 'string') return undefined
  return visible(`pid ${pid} on ${host.slice(0, 64)} (${command.slice(0, 100)})`)
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

/** The history's entry in a record; undefined when there is none, or what stands there makes no sense. */
export function historyEntry(seq: bigint, record: Uint8Array): HistoryEntry | undefined {
  const { time, from, to, fields, pid, host, command } = parse(record)
  if (typeof time !== 'string' || !ISO_TIME.test(time) || !isValidState(to)) return undefined
  if (from !== null && !isValidState(from)) return undefined
  if (!Number.isSafeInteger(pid) || typeof host !== 'string' || typeof command !== 'string') return undefined
  const changed = Array.isArray(fields) && fields.every(field => typeof field === 'string') ? { fields } : {}
  return { seq: Number(seq), time, from, to, ...changed, pid: Number(pid), host, command }
}

function parse(record: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(record).toString('utf8'))
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
