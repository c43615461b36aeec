import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { until } from '../support/wait.js'
import type { Image } from './image.js'

/** A write to the disk, or a flush of all writes that it has confirmed. */
export interface Entry {
  /** Where it begins in the log, in bytes: the log's size says what has reached the disk so far. */
  readonly at: number
  readonly isFlush: boolean
  /** Where on the disk, in bytes. */
  readonly offset: number
  /** NULs where the disk was told to forget what was there. */
  readonly data: Uint8Array
}

const FLUSH = 1
const DISCARD = 4

/** See the kernel's Documentation/admin-guide/device-mapper/log-writes.rst and struct log_write_super. */
const MAGIC = 0x6a736677736872n
const VERSION = 1n

/** Lets qemu-storage-daemon record each write and each flush of an image while its filesystem is mounted. */
export class BlockLog {
  /** To be mounted in place of the image. */
  readonly disk: string
  readonly file: string
  private readonly daemon: ChildProcess

  private constructor(image: Image) {
    this.disk = join(image.folder, 'recorded.img')
    this.file = join(image.folder, 'block-log')
    for (const file of [this.disk, this.file]) writeFileSync(file, '')
    const [enter, ...args] = [...image.inside, 'setpriv', '--pdeathsig', 'KILL', 'qemu-storage-daemon']
    args.push('--blockdev', `driver=file,node-name=image,filename=${image.file}`)
    args.push('--blockdev', `driver=file,node-name=log,filename=${this.file}`)
    args.push('--blockdev', 'driver=blklogwrites,node-name=recorded,file=image,log=log')
    args.push('--export', `type=fuse,id=disk,node-name=recorded,mountpoint=${this.disk},writable=on`)
    this.daemon = spawn(enter, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    onTestFinished(() => void this.daemon.kill())
  }

  static async start(image: Image): Promise<BlockLog> {
    const log = new BlockLog(image)
    await until('qemu-storage-daemon exports the image', () => {
      if (log.daemon.exitCode !== null) throw new Error('qemu-storage-daemon cannot export the image')
      return statSync(image.outside(log.disk)).size > 0
    })
    return log
  }

  /** How much has reached the disk, as a position in the log. */
  get size(): number {
    return statSync(this.file).size
  }

  async end(): Promise<void> {
    const ended = once(this.daemon, 'exit')
    this.daemon.kill()
    await ended
  }

  /** @param end where the log is cut off */
  *entries(end: number): Generator<Entry> {
    const log = readFileSync(this.file).subarray(0, end)
    const number = (at: number) => Number(log.readBigUInt64LE(at))
    const sectorSize = log.readUInt32LE(24)
    if (log.readBigUInt64LE(0) !== MAGIC || log.readBigUInt64LE(8) !== VERSION) {
      throw new Error(`${this.file} is no log of writes`)
    }
    for (let at = sectorSize; at < log.length; ) {
      const [sector, count, flags] = [number(at), number(at + 8), number(at + 16)]
      if (![0, FLUSH, DISCARD].includes(flags)) throw new Error(`${this.file}: flags ${flags} at ${at}`)
      const start = at + sectorSize
      const size = count * sectorSize
      const isDiscard = flags === DISCARD
      const data = isDiscard ? new Uint8Array(size) : log.subarray(start, start + size)
      yield { at, isFlush: flags === FLUSH, offset: sector * sectorSize, data }
      at = isDiscard ? start : start + size
    }
  }
}
