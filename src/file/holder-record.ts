import { fstatSync, readSync, writeSync } from 'node:fs'
import { type ProcessIdentity, thisProcess } from './process-identity.js'

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
export const RECORD_SIZE = 512

const HELD = '{"held":true ,'
let identity: string | undefined
const RELEASED = Buffer.from('{"held":false,')

/**
 * Notes in an open `lock` file that this process holds it.
 * @returns whether the note that was there shows that its holder released it, in this boot, and so left nothing behind.
 * A power cut leaves an older note, or none.
 */
export function noteHolder(lockFd: number, since: Date): boolean {
  const before = Buffer.alloc(RECORD_SIZE)
  identity ??= JSON.stringify(thisProcess()).slice(1, -1)
  const record = `${HELD}${identity},"since":"${since.toISOString()}"}`
  try {
    readSync(lockFd, before, 0, before.length, 0)
    write(lockFd, Buffer.from(`${record.padEnd(RECORD_SIZE - 1)}\n`, 'latin1'))
  } catch {
    // The note is for people and for tidying up. On a full disk the lock is held all the same.
  }
  return before.subarray(0, RELEASED.length).equals(RELEASED) && isOfThisBoot(before)
}

function isOfThisBoot(record: Buffer): boolean {
  const { boot } = thisProcess()
  return boot !== '' && record.includes(`"boot":"${boot}"`)
}

/** Notes in an open `lock` file that it was released in order. */
export function noteRelease(lockFd: number): void {
  try {
    write(lockFd, RELEASED)
  } catch {
    // As above; the next holder then looks for leftovers that are not there.
  }
}

/** A lock file that has another name elsewhere may be another's file, linked here: it can be locked as well without. */
function write(lockFd: number, bytes: Buffer): void {
  if (fstatSync(lockFd).nlink > 1) return
  writeSync(lockFd, bytes, 0, bytes.length, 0)
}

/** The text of the record in an open `lock` file; '' when there is none (Kata leaves the file empty). */
export function readRecord(lockFd: number): string {
  const buffer = Buffer.alloc(RECORD_SIZE)
  const length = readSync(lockFd, buffer, 0, RECORD_SIZE, 0)
  return buffer.toString('utf8', 0, length)
}
