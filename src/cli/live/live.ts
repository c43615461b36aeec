import { setTimeout as sleep } from 'node:timers/promises'
import type { SandboxStore } from '../../store.js'
import type { Cli } from '../cli.js'
import { workAndTidy } from '../interrupt.js'
import { Board } from './board.js'
import { frame, rowsThatFit } from './frame.js'
import { Terminal } from './terminal.js'

/** How often the times are counted on, in ms. */
const TICK = 1000
/** At most so often is a frame drawn, in ms, however much happens. */
const PACE = 100

const CTRL_C = '\x03'
const CTRL_Z = '\x1a'

/**
 * Shows the sandboxes on a terminal, and what becomes of them, until `q` or a signal.
 * @param root what to call the root, asked for each frame: it may be made meanwhile
 */
export async function live(
  store: SandboxStore,
  cli: Cli,
  root: () => string,
  id: string | undefined,
): Promise<void> {
  const view = new LiveView(store, cli, root, id)
  await workAndTidy(
    interrupted => view.run(interrupted),
    () => view.tidy(),
  )
}

class LiveView {
  private readonly terminal: Terminal
  private readonly board: Board
  private readonly left = new AbortController()
  private wake = () => {}
  private isResized = false
  private readonly continued = () => void this.terminal.enter().then(() => this.wake(), this.stop)
  private readonly stop = () => {
    this.left.abort()
    this.wake()
  }

  constructor(
    private readonly store: SandboxStore,
    private readonly cli: Cli,
    private readonly root: () => string,
    private readonly id: string | undefined,
  ) {
    this.board = new Board(store)
    this.terminal = new Terminal(cli.out, cli.input, text => this.typed(text))
  }

  async run(interrupted: AbortSignal): Promise<void> {
    interrupted.addEventListener('abort', this.stop)
    this.cli.out.onResize(() => {
      this.isResized = true
      this.wake()
    })
    process.on('SIGCONT', this.continued)
    await this.terminal.enter()
    const both = [this.follow(), this.drawOn()]
    // Whichever fails ends the other, which is waited for before the screen is given back.
    for (const one of both) one.catch(this.stop)
    await Promise.allSettled(both)
    await Promise.all(both)
  }

  async tidy(): Promise<void> {
    process.off('SIGCONT', this.continued)
    // Where the terminal is gone there is nothing to give back.
    await this.terminal.leave().catch(() => {})
  }

  private async follow(): Promise<void> {
    const { signal } = this.left
    for await (const event of this.store.watch({
      signal,
      ...(this.id === undefined ? {} : { id: this.id }),
    })) {
      this.board.see(event, Date.now())
      this.wake()
    }
  }

  private async drawOn(): Promise<void> {
    while (!this.left.signal.aborted) {
      const woken = new Promise<void>(resolve => {
        this.wake = resolve
      })
      await this.draw()
      await sleep(PACE)
      const tick = setTimeout(this.wake, TICK - PACE)
      await woken
      clearTimeout(tick)
    }
  }

  private async draw(): Promise<void> {
    if (this.isResized) {
      this.isResized = false
      await this.terminal.clear()
    }
    const { board, terminal } = this
    const now = Date.now()
    const ids = board.ids(now)
    const shown = ids.slice(0, rowsThatFit(terminal))
    for (const id of shown) await board.lookUp(id, now)
    if (this.left.signal.aborted) return
    const sights = shown.flatMap(id => board.sight(id) ?? [])
    const view = {
      root: this.root(),
      id: this.id,
      counts: board.counts(),
      sights,
      more: ids.length - shown.length,
      now: Date.now(),
      quit: terminal.hasKeys ? 'q' : 'Ctrl-C',
    }
    await terminal.draw(frame(view, terminal, this.cli.colors))
  }

  /** In raw mode the terminal makes no signals of the keys. */
  private typed(text: string): void {
    if (text.includes('q')) this.stop()
    else if (text.includes(CTRL_C)) process.kill(process.pid, 'SIGINT')
    else if (text.includes(CTRL_Z)) void this.suspend()
  }

  /** As any program does for Ctrl-Z; SIGCONT brings it back. */
  private async suspend(): Promise<void> {
    await this.terminal.leave().catch(() => {})
    process.kill(process.pid, 'SIGTSTP')
  }
}
