import { errnoOf, reason } from '../errno.js'

/** What the command line needs of a stream; `process.stdout` and `process.stderr` have it. */
export interface OutputStream {
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'resize', listener: () => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** What the command line needs of a stream to read keys from; `process.stdin` has it. */
export interface InputStream {
  readonly isTTY?: boolean
  setRawMode(isRaw: boolean): unknown
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  off(event: 'data', listener: (chunk: Buffer) => void): unknown
  resume(): unknown
  pause(): unknown
}

/** Keys, as they are pressed. */
export class Input {
  private listener: ((chunk: Buffer) => void) | undefined

  constructor(private readonly stream: InputStream) {}

  /** Has the terminal pass on every key, and print none. */
  start(typed: (text: string) => void): void {
    this.stop()
    this.listener = chunk => typed(chunk.toString('latin1'))
    this.stream.setRawMode(true)
    this.stream.on('data', this.listener)
    this.stream.resume()
  }

  stop(): void {
    if (this.listener === undefined) return
    this.stream.off('data', this.listener)
    this.listener = undefined
    this.stream.setRawMode(false)
    this.stream.pause()
  }
}

/** So many characters are gathered before they are written. */
const CHUNK = 16 * 1024

/** Text on its way to a stream: gathered into chunks, each of which waits until the reader has taken the one before. */
export class Output {
  private pending = ''

  constructor(private readonly stream: OutputStream) {
    // Each write tells of its own failure; a stream without a listener would end the process with a stack trace.
    stream.on('error', () => {})
  }

  get isTerminal(): boolean {
    return this.stream.isTTY === true
  }

  /** A serial line or a container may not know its terminal's size, and says 0. */
  get columns(): number {
    return this.stream.columns || 80
  }

  get rows(): number {
    return this.stream.rows || 24
  }

  onResize(listener: () => void): void {
    this.stream.on('resize', listener)
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
      this.stream.write(text, error => (error ? reject(new OutputError(error)) : resolve()))
    })
  }
}

/** What was to be printed could not be. */
export class OutputError extends Error {
  constructor(cause: Error) {
    super(`cannot write the output: ${reason(cause)}`, { cause })
  }

  /** Whether the reader has left, as `head` does once it has seen enough: no failure of ours. */
  get isClosedPipe(): boolean {
    return errnoOf(this.cause) === 'EPIPE'
  }
}
