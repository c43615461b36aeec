import type { HistoryEntry } from './backend.js'
import { MAX_REASON } from './options.js'
import { thisProcess } from './process-identity.js'
import type { Shape } from './record.js'
import { changedFields } from './state/fields.js'
import { isValidState } from './state/machine.js'
import type { SandboxState } from './state/sandbox-state.js'

/** What is recorded about a change, in a file or on etcd. */
type RecordedChange = Omit<HistoryEntry, 'seq' | 'gap'>

/** The record of a change that this process makes now. */
export function recordOfChange(
  before: SandboxState | undefined,
  after: SandboxState,
  reason: string | undefined,
): RecordedChange {
  const { time, ...author } = authorship()
  const fields = before === undefined ? [] : changedFields(before, after)
  return {
    time,
    from: before?.state ?? null,
    to: after.state,
    ...(fields.length > 0 && { fields }),
    ...(reason !== undefined && { reason }),
    ...author,
  }
}

/** This process, and the time. */
export function authorship(): Pick<RecordedChange, 'time' | 'pid' | 'host' | 'command'> {
  const { pid, host, command } = thisProcess()
  return { time: new Date().toISOString(), pid, host, command }
}

/** How a record is checked: other programs can write there, too. */
export const RECORDED_CHANGE: Shape<RecordedChange> = {
  time: isTime,
  from: value => value === null || isValidState(value),
  to: isValidState,
  fields: value => value === undefined || isFields(value),
  reason: value => value === undefined || isText(value, MAX_REASON),
  pid: isCount,
  host: value => isText(value, 256),
  command: value => isText(value, 1024),
}

/** An integer from 0 to which 1 can be added. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isSafeInteger(value + 1)
}

export function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length <= longest
}

export function isTime(value: unknown): value is string {
  return isText(value, 40) && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value))
}

function isFields(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 16 && value.every(field => isText(field, 64))
}
