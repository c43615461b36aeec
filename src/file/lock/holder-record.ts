import { readSync, writeSync } from 'node:fs'
import { type ProcessIdentity, thisProcess } from '../../process-identity.js'
import type { LockFile } from './lock-file.js'

/** What a `lock` file says of the last of us to hold it. */
export interface HolderRecord extends ProcessIdentity {
  /** False once released in order. True in a lock that nobody holds: its holder was killed. */
  readonly held: boolean
  /** When the lock was taken, in ISO 8601. */
  readonly since: string
}

/**
 * The record has one size and is overwritten in place: ext4 flushes a file that was truncated and written again
 * when it is closed (`auto_da_alloc`), which would cost more than all the rest of a lock.
 */
const RECORD_SIZE = 512

const RELEASED = Buffer.from('{"held":false,')

/** What was found in a `lock` file, and what is written there: nothing else runs in this thread meanwhile. */
const found = Buffer.alloc(RECORD_SIZE)
const record = Buffer.alloc(RECORD_SIZE)
let timeAt = 0

/**
 * Notes in a `lock` file that this process holds it.
 * @returns whether the note that was there shows that its holder released it, in this boot, and so left nothing behind.
 * A power cut leaves an older note, or none.
 */
export function noteHolder(lock: LockFile, since: Date): boolean {
  if (timeAt === 0) timeAt = prepareRecord()
  record.write(since.toISOString(), timeAt, 'latin1')
  found.fill(0, 0, RELEASED.length)
  try {
    readSync(lock.fd, found, 0, RECORD_SIZE, 0)
    write(lock, record)
  } catch {
    // The note is for people and for tidying up. On a full disk the lock is held all the same.
  }
  return found.compare(RELEASED, 0, RELEASED.length, 0, RELEASED.length) === 0 && isOfThisBoot(found)
}

/** All but the time is the same in every record of this process. */
function prepareRecord(): number {
  const before = `{"held":true ,${JSON.stringify(thisProcess()).slice(1, -1)},"since":"`
  const time = new Date(0).toISOString()
  record.write(`${`${before}${time}"}`.padEnd(RECORD_SIZE - 1)}\n`, 'latin1')
  return before.length
}

function isOfThisBoot(record: Buffer): boolean {
  const { boot } = thisProcess()
  return boot !== '' && record.toString('latin1').includes(`"boot":"${boot}"`)
}

/** Notes in a `lock` file that it was released in order. */
export function noteRelease(lock: LockFile): void {
  try {
    write(lock, RELEASED)
  } catch {
    // As above; the next holder then looks for leftovers that are not there.
  }
}

function write({ fd, isLinked }: LockFile, bytes: Buffer): void {
  if (!isLinked) writeSync(fd, bytes, 0, bytes.length, 0)
}

/** The text of the record in an open `lock` file; '' when there is none (Kata leaves the file empty). */
export function readRecord(lockFd: number): string {
  const buffer = Buffer.alloc(RECORD_SIZE)
  const length = readSync(lockFd, buffer, 0, RECORD_SIZE, 0)
  return buffer.toString('utf8', 0, length)
}
