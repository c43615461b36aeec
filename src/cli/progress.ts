import type { Output } from './output.js'

/** How long some work goes on before its progress is shown, in ms. */
const QUIET = 500
/** How often it is shown, in ms. */
const PACE = 100

/** Counts on one line of a terminal's stderr, which is empty again afterwards. */
export class Progress implements Disposable {
  private next = performance.now() + QUIET
  private isShown = false

  /** @param what such as `sandboxes checked`, after their number */
  constructor(
    private readonly err: Output,
    private readonly what: string,
    private readonly isEnabled: boolean,
  ) {}

  /** @param count how many are done */
  at(count: number): void {
    if (!this.isEnabled || performance.now() < this.next) return
    this.next = performance.now() + PACE
    this.isShown = true
    this.print(`\r${count} ${this.what}`)
  }

  [Symbol.dispose](): void {
    if (this.isShown) this.print('\r\x1b[K')
  }

  private print(text: string): void {
    this.err.add(text)
    void this.err.flush()
  }
}
