import { errnoOf, reason } from '../errno.js'

/** What the command line needs of a stream; `process.stdout` and `process.stderr` have it. */
export interface OutputStream {
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  readonly fd?: number
  readonly isTTY?: boolean
  readonly rows?: number
  readonly columns?: number
}

/** How many characters are gathered before they are written. */
const CHUNK = 16 * 1024

/** Text on its way to a stream: gathered into chunks, each of which waits until the reader has taken the one before. */
export class Output {
  private pending = ''

  /** @param isVital whether it is an error if it cannot be written */
  constructor(
    private readonly stream: OutputStream,
    private readonly isVital = true,
  ) {
    // Each write reports its own failure; a stream without a listener would end the process with a stack trace.
    stream.on('error', () => {})
  }

  get isTerminal(): boolean {
    return this.stream.isTTY === true
  }

  /** Its descriptor; undefined in a test, where it is no file. */
  get fd(): number | undefined {
    return this.stream.fd
  }

  /** A serial line or a container that does not know its terminal's size says 0. */
  get rows(): number {
    return this.stream.rows || 24
  }

  get columns(): number {
    return this.stream.columns || 80
  }

  /** Adds text, and waits for the reader if there is much of it. */
  async write(text: string): Promise<void> {
    this.add(text)
    if (this.pending.length >= CHUNK) await this.flush()
  }

  /** Adds text, for callers who cannot wait. */
  add(text: string): void {
    this.pending += text
  }

  /** @throws OutputError */
  async flush(): Promise<void> {
    if (this.pending === '') return
    const text = this.pending
    this.pending = ''
    await new Promise<void>((resolve, reject) => {
      this.stream.write(text, error => (error && this.isVital ? reject(new OutputError(error)) : resolve()))
    })
  }
}

/** The output could not be written. */
export class OutputError extends Error {
  constructor(cause: Error) {
    super(`cannot write the output: ${reason(cause)}`, { cause })
  }

  /** Whether the reader has gone, as `head` does once it has seen enough: no failure of ours. */
  get isClosedPipe(): boolean {
    return errnoOf(this.cause) === 'EPIPE'
  }
}
