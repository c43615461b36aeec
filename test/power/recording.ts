import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Acknowledged } from './acknowledged.js'
import { BlockLog, type Entry } from './block-log.js'
import { Image, type Kind, run } from './image.js'
import { inspect } from './inspect.js'
import { rootOf, type Work, Workers } from './workers.js'

/** The writes between two flushes: any part of them may survive a power cut before the second one. */
interface Span {
  readonly writes: readonly Entry[]
  /** The position in the log of writes. */
  readonly end: number
}

/** A power cut, and what became of the sandboxes. */
export interface Cut {
  /** When it happened, and how it can be repeated. */
  readonly name: string
  /** How many changes had been acknowledged before it. */
  readonly acknowledged: number
  /** What was promised and is not there, and what else is wrong. */
  readonly faults: readonly string[]
}

/** A filesystem whose writes and flushes were recorded while workers changed sandboxes in it. */
export class Recording {
  readonly writes: number
  readonly flushes: number
  /** The image as of the last flush before a cut. */
  private readonly flushed: string

  private constructor(
    private readonly image: Image,
    private readonly log: BlockLog,
    private readonly workers: Workers,
    private readonly spans: readonly Span[],
  ) {
    this.flushed = flushedOf(image)
    this.flushes = spans.length - 1
    this.writes = spans.reduce((sum, { writes }) => sum + writes.length, 0)
  }

  /** @param size how long the log of the workers becomes, see {@link Workers.grow} */
  static async make(kind: Kind, work: Work, size: number): Promise<Recording> {
    const image = await Image.make(kind)
    copy(image.file, flushedOf(image))
    const log = await BlockLog.start(image)
    await image.mount(log.disk)
    const workers = new Workers(image, work, log.file)
    await workers.grow(size / 2)
    image.flush()
    await workers.grow(size)
    await workers.end('SIGKILL')
    const end = log.size
    await image.unmount()
    await log.end()
    return new Recording(image, log, workers, [...spansOf(log, end)])
  }

  /**
   * Cuts the power at moments that are spread evenly over the recording. Every second time nothing survives that was
   * written since the last flush, otherwise a part of it, by chance.
   * @param keepIn the folder in which to keep the image and the logs of a cut with faults
   */
  async *cuts(count: number, seed: number, keepIn?: string): AsyncGenerator<Cut> {
    let next = 0
    for (let n = 0; n < count; n++) {
      const chance = (what: string) =>
        createHash('md5').update(`${seed} ${n} ${what}`).digest().readUInt32LE() / 2 ** 32
      const index = Math.floor((n * this.spans.length) / count)
      for (; next < index; next++) write(this.flushed, this.spans[next]?.writes ?? [])
      const { writes = [], end = 0 } = this.spans[index] ?? {}
      const isHarsh = n % 2 === 0
      const begun = isHarsh ? writes : writes.slice(0, Math.floor(chance('cut') * (writes.length + 1)))
      const survivors = isHarsh ? [] : begun.filter(({ at }) => chance(`write ${at}`) < 0.5)
      const acknowledged = new Acknowledged(this.workers.log, writes[begun.length]?.at ?? end)
      const name = `after flush ${index} of ${this.flushes}, with ${survivors.length} of ${begun.length} writes since, seed ${seed}`
      const faults = [...failuresOf(acknowledged), ...(await this.cut(survivors, acknowledged))]
      if (faults.length > 0 && keepIn !== undefined) this.keep(survivors, keepIn)
      yield { name, acknowledged: acknowledged.count, faults }
    }
  }

  remove(): void {
    this.image.remove()
  }

  private async cut(survivors: readonly Entry[], acknowledged: Acknowledged): Promise<string[]> {
    this.build(survivors)
    try {
      await this.image.mount()
    } catch (error) {
      return [`the filesystem cannot be mounted: ${error}`]
    }
    try {
      return await inspect(this.image.outside(rootOf(this.image)), acknowledged)
    } finally {
      await this.image.unmount()
    }
  }

  private build(survivors: readonly Entry[]): void {
    copy(this.flushed, this.image.file)
    write(this.image.file, survivors)
  }

  private keep(survivors: readonly Entry[], folder: string): void {
    this.build(survivors)
    mkdirSync(folder, { recursive: true })
    for (const file of [this.image.file, this.log.file, this.workers.log])
      run('cp', '--sparse=always', file, folder)
  }
}

function flushedOf(image: Image): string {
  return join(image.folder, 'flushed.img')
}

function* spansOf(log: BlockLog, end: number): Generator<Span> {
  let writes: Entry[] = []
  for (const entry of log.entries(end)) {
    if (!entry.isFlush) {
      writes.push(entry)
    } else {
      yield { writes, end: entry.at }
      writes = []
    }
  }
  yield { writes, end }
}

/** Holes stay holes. */
function copy(from: string, to: string): void {
  run('cp', '--sparse=always', from, to)
}

function write(file: string, entries: readonly Entry[]): void {
  const fd = openSync(file, 'r+')
  for (const { data, offset } of entries) writeSync(fd, data, 0, data.length, offset)
  closeSync(fd)
}

/** On a disk that works no worker may fail. */
function failuresOf({ failures }: Acknowledged): string[] {
  return failures.map(({ code, message }) => `a worker failed with ${code}: ${message}`)
}
