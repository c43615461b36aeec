import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Report, Task } from './protocol.js'

const PROGRAM = fileURLToPath(new URL('./demo-worker.js', import.meta.url))

/** A worker as the demo sees it. */
export class WorkerProcess {
  /** How many additions it has reported. */
  added = 0
  private readonly child: ChildProcessByStdio<Writable, Readable, null>
  /** Comes after everything that it said has been heard. */
  private readonly ended: Promise<void>
  private answer: ((report: Report) => void) | undefined

  constructor(root: string) {
    this.child = spawn(process.execPath, [PROGRAM, root], {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true, // A Ctrl-C is for the demo, which ends its workers itself.
    })
    this.child.stdin.on('error', () => {}) // It is dead; whoever waits for its answer is told so.
    this.child.on('error', () => {}) // It could not be started; it is closed then, too.
    this.ended = new Promise(resolve => this.child.once('close', () => resolve()))
    createInterface({ input: this.child.stdout }).on('line', line => this.hear(JSON.parse(line)))
  }

  get pid(): number {
    return this.child.pid ?? Number.NaN
  }

  tell(task: Task): void {
    this.child.stdin.write(`${JSON.stringify(task)}\n`)
  }

  /** Tells it to do something, and waits for its next report of anything but an addition. */
  async ask(task: Task): Promise<Report> {
    this.tell(task)
    const report = new Promise<Report>(resolve => {
      this.answer = resolve
    })
    const first = await Promise.race([report, this.ended])
    if (first === undefined) throw new Error(`worker ${this.pid} ended too early`)
    return first
  }

  /** Lets it end what it is doing, and itself. */
  async dismiss(): Promise<void> {
    this.child.stdin.end()
    await this.ended
  }

  /** kill -9. Its pid cannot be another process's by now, because nobody but us collects it. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }

  private hear(report: Report): void {
    if (report.kind === 'added') this.added += 1
    else this.answer?.(report)
  }
}
