import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/** Time between two scans, in ms. */
const PERIOD = 1_000
/** The same when something has or may have changed without an event. */
const SHORT_PERIOD = 30
/** The share of one processor that scans may use. */
const SHARE = 0.02

/** Starts each scan a period after the last one, or later, so that scans keep to their share of the processor. */
export class ScanSchedule {
  private period = PERIOD
  private cost = 0
  private ended = performance.now()
  /** Undefined during a scan, and when closed. */
  private timer: NodeJS.Timeout | undefined
  private closed = false

  /** @param scan performs a scan in short steps; must not throw */
  constructor(private readonly scan: () => Iterable<void>) {
    this.arm()
  }

  /** Shortens the period to the next scan. */
  scanSoon(): void {
    this.period = SHORT_PERIOD
    if (this.timer !== undefined) this.arm()
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.timer = undefined
  }

  private arm(): void {
    clearTimeout(this.timer)
    const due = this.ended + Math.max(this.period, this.cost / SHARE)
    this.timer = setTimeout(() => void this.run(), Math.max(due - performance.now(), 0))
  }

  private async run(): Promise<void> {
    this.timer = undefined
    this.period = PERIOD
    this.cost = 0
    let start = performance.now()
    for (const _ of this.scan()) {
      if (!sliceExpired()) continue
      this.cost += performance.now() - start
      await yieldToEventLoop()
      if (this.closed) return
      start = performance.now()
    }
    this.ended = performance.now()
    this.cost += this.ended - start
    this.arm()
  }
}
