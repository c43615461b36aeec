/** From one scan to the next, in ms, when the kernel reports changes: a scan then finds only what it did not report. */
const PERIOD = 1_000
/** And when it allows no watch for some folder, so that scans are what notices a change there. */
const PERIOD_STARVED = 30
/** A scan takes one part in so many of the time at most. */
const SHARE = 50
/** The same, while there are bursts. */
const SHARE_IN_BURST = 5
/** After so many reports some more may have been lost: the kernel's queue holds 16,384 (`max_queued_events`). */
const BURST = 4_096
/** How long after them a scan follows, in ms. */
const BURST_PAUSE = 100

/** When to scan. Times are in ms, on the clock of `performance.now()`. */
export class ScanSchedule {
  due = performance.now() + PERIOD
  private starved = false
  private ended = 0
  private cost = 0
  private reports = 0

  /** The kernel reported a change. */
  report(): void {
    if (++this.reports < BURST) return
    this.reports = 0
    const soon = Math.max(performance.now() + BURST_PAUSE, this.ended + this.cost * SHARE_IN_BURST)
    this.due = Math.min(this.due, soon)
  }

  /** The system had no watch for some folder. */
  starve(): void {
    this.starved = true
    this.due = Math.min(this.due, performance.now() + PERIOD_STARVED)
  }

  /** Everything may be different. */
  hurry(): void {
    this.due = performance.now()
  }

  begin(): void {
    this.due = Number.POSITIVE_INFINITY
    this.starved = false
    this.cost = 0
    this.reports = 0
  }

  spend(time: number): void {
    this.cost += time
  }

  end(): void {
    this.ended = performance.now()
    const period = this.starved ? PERIOD_STARVED : PERIOD
    this.due = Math.min(this.due, this.ended + Math.max(period, this.cost * SHARE))
  }
}
