import { PROCESS_RECORD, type ProcessRecord } from '../../owner.js'
import { thisProcess } from '../../process-identity.js'
import { parseRecord, type Shape } from '../../record.js'
import { overwriteStart, readAt } from '../posix/file-io.js'

/** The record in a `lock` or `owner` file of the last of our processes that held it. */
export interface HolderRecord extends ProcessRecord {
  /** False once it was released in good order. If true while nobody holds the lock, its holder was killed. */
  readonly held: boolean
}

/**
 * The record has a fixed size and is overwritten in place: ext4 flushes a file that was truncated and rewritten when it is
 * closed (`auto_da_alloc`), which would cost more than the rest of a lock.
 */
export const RECORD_SIZE = 512

const RELEASED = Buffer.from('{"held":false,')

/** The record of this process; only the time differs between locks. */
const record = Buffer.alloc(RECORD_SIZE)
let timeAt = 0

/** Records in a `lock` or `owner` file that this process holds it. @throws the system's error */
export function writeHolderRecord(fd: number): void {
  if (timeAt === 0) timeAt = prepareRecord()
  record.write(new Date().toISOString(), timeAt, 'latin1')
  overwriteStart(fd, record)
}

/** Records in such a file that it was released in good order. @throws the system's error */
export function markReleased(fd: number): void {
  overwriteStart(fd, RELEASED)
}

function prepareRecord(): number {
  const before = `{"held":true ,${JSON.stringify(thisProcess()).slice(1, -1)},"since":"`
  const time = new Date(0).toISOString()
  record.write(`${`${before}${time}"}`.padEnd(RECORD_SIZE - 1)}\n`, 'latin1')
  return before.length
}

/** The record in such a file, open; undefined without a valid one (Kata leaves the file empty). */
export function readHolderRecord(fd: number): HolderRecord | undefined {
  const buffer = Buffer.alloc(RECORD_SIZE)
  return parseRecord(buffer.toString('utf8', 0, readAt(fd, buffer, 0)), RECORD)
}

const RECORD: Shape<HolderRecord> = { held: value => typeof value === 'boolean', ...PROCESS_RECORD }
