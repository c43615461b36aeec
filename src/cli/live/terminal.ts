import type { Input, Output } from '../output.js'

/** xterm's control sequences, which every terminal of today knows or ignores. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'
/** Tells a terminal to show what comes in between at once. */
const BEGIN_UPDATE = '\x1b[?2026h'
const END_UPDATE = '\x1b[?2026l'

/**
 * A terminal that is borrowed: its alternate screen is drawn on without a cursor, keys are read as they are pressed,
 * and afterwards everything is as it was.
 */
export class Terminal {
  private drawn: readonly string[] = []
  private isEntered = false
  private readonly onExit = () => {
    if (this.isEntered) this.out.add(LEAVE)
    this.out.flush().catch(() => {})
  }

  /** @param keys called with what was typed */
  constructor(
    private readonly out: Output,
    private readonly input: Input | undefined,
    private readonly keys: (text: string) => void,
  ) {}

  get rows(): number {
    return this.out.rows
  }

  /** One less than there are: a terminal that wrote in its last column is in doubt where its cursor is. */
  get columns(): number {
    return Math.max(this.out.columns - 1, 1)
  }

  get hasKeys(): boolean {
    return this.input !== undefined
  }

  async enter(): Promise<void> {
    if (!this.isEntered) process.on('exit', this.onExit)
    this.isEntered = true
    this.drawn = []
    this.input?.start(this.keys)
    this.out.add(ENTER)
    await this.out.flush()
  }

  /** Writes the lines that differ from those on the screen, each over the old one, so that nothing flickers. */
  async draw(lines: readonly string[]): Promise<void> {
    if (!this.isEntered) return
    const parts: string[] = []
    for (let at = 0; at < Math.max(lines.length, this.drawn.length); at++) {
      const line = lines[at] ?? ''
      if (line !== this.drawn[at]) parts.push(`\x1b[${at + 1};1H${line}\x1b[K`)
    }
    this.drawn = lines
    if (parts.length === 0) return
    this.out.add(`${BEGIN_UPDATE}${parts.join('')}${END_UPDATE}`)
    await this.out.flush()
  }

  /** Forgets what is on the screen, which has another size now. */
  async clear(): Promise<void> {
    if (!this.isEntered) return
    this.drawn = []
    this.out.add('\x1b[2J')
    await this.out.flush()
  }

  async leave(): Promise<void> {
    if (!this.isEntered) return
    this.isEntered = false
    process.off('exit', this.onExit)
    this.input?.stop()
    this.out.add(LEAVE)
    await this.out.flush()
  }
}
