import type { SandboxStore, StateEvent, WatchOptions } from 'sandbox-state'
import { onTestFinished } from 'vitest'
import { PATIENCE } from './wait.js'

/** The events of a watch as they come, in a form that is easy to compare: `created a ready`, `error a CORRUPT_STATE`. */
export class Events {
  readonly all: StateEvent[] = []
  private read = 0
  private wake: () => void = () => {}
  readonly ended: Promise<void>

  constructor(store: SandboxStore, options: WatchOptions = {}) {
    const left = new AbortController()
    onTestFinished(() => left.abort())
    this.ended = this.follow(store.watch({ signal: left.signal, ...options }))
    this.ended.catch(() => {})
  }

  private async follow(events: AsyncIterable<StateEvent>): Promise<void> {
    for await (const event of events) {
      this.all.push(event)
      this.wake()
    }
  }

  /** The next event. */
  async next(): Promise<string> {
    const deadline = performance.now() + PATIENCE
    while (this.all.length <= this.read) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`no event came after ${this.all.map(show).join(', ')}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const event = this.all[this.read++]
    return event === undefined ? '' : show(event)
  }
}

function show(event: StateEvent): string {
  const what = event.type === 'error' ? event.error.code : 'state' in event ? event.state.state : ''
  return `${event.type} ${event.id} ${what}`.trim()
}
