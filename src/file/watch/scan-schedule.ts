import { sliceExpired, yieldToEventLoop } from '../time-slice.js'

/** From one scan to the next, in ms. */
const PERIOD = 1_000
/** The same when something is known to have changed without a report, or could. */
const SHORT_PERIOD = 30
/** The share of one processor that scans may take. */
const SHARE = 0.02

/** Starts the scans by one rule: a period after the last one, but so late that scans keep to their share. */
export class ScanSchedule {
  private period = PERIOD
  private cost = 0
  private ended = performance.now()
  /** Undefined during a scan, and when closed. */
  private timer: NodeJS.Timeout | undefined
  private closed = false

  /** @param scan makes a scan, in short steps; must not throw */
  constructor(private readonly scan: () => Iterable<void>) {
    this.arm()
  }

  /** Makes the next period a short one. */
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
