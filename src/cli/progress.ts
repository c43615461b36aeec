import type { Output } from './output.js'
import { clip } from './width.js'

/** What is done within so many ms needs no progress. */
const QUIET = 500
/** How often it is drawn, in ms. */
const PACE = 100

const CLEAR_LINE = '\r\x1b[K'

/** How far a long work is, on one line of a terminal's stderr, which is empty again afterwards. */
export class Progress implements Disposable {
  private readonly start = performance.now()
  private readonly timer: NodeJS.Timeout | undefined
  private text = ''
  private isDrawn = false

  /** @param what such as `sandboxes listed`, after their number */
  constructor(
    private readonly err: Output,
    private readonly what: string | undefined,
    readonly isShown: boolean,
  ) {
    if (what !== undefined) this.at(0)
    if (isShown) this.timer = setInterval(() => this.draw(), PACE).unref()
  }

  /** So many are done. */
  at(count: number): void {
    this.show(`${count} ${this.what}`)
  }

  /** What is going on, in a few words; nothing, if empty. */
  show(text: string): void {
    this.text = text
  }

  private draw(): void {
    if (performance.now() - this.start < QUIET || (this.text === '' && !this.isDrawn)) return
    this.isDrawn = this.text !== ''
    // A line that a narrow terminal broke could not be cleared. In the last column it is in doubt where its cursor is.
    this.print(CLEAR_LINE + clip(this.text, Math.max(this.err.columns - 1, 1)))
  }

  /** Whether the terminal can still be written does not matter to the work. */
  private print(text: string): void {
    this.err.add(text)
    this.err.flush().catch(() => {})
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer)
    if (this.isDrawn) this.print(CLEAR_LINE)
    this.isDrawn = false
  }
}
