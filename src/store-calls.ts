import { setImmediate as nextTurn } from 'node:timers/promises'
import { StateStoreError, withCaller } from './errors.js'

/** The calls and loops of one store: `close` waits for those under way, and lets no others begin. */
export class StoreCalls {
  private readonly closing = new AbortController()
  /** How many calls, and steps of loops, have begun and not ended. */
  private underWay = 0
  private onIdle: (() => void) | undefined
  private closed: Promise<void> | undefined
  private isShut = false

  /** Aborted as soon as the store is being closed, with the error `CLOSED`. */
  get closingSignal(): AbortSignal {
    return this.closing.signal
  }

  /** @throws StateStoreError `CLOSED` */
  assertOpen(): void {
    if (this.closed !== undefined) throw closedError()
  }

  /** Makes a call that `close` waits for. The stack of its error leads on to the caller. */
  async track<T>(call: () => Promise<T>): Promise<T> {
    this.underWay++
    try {
      return await call()
    } catch (error) {
      throw withCaller(error)
    } finally {
      if (--this.underWay === 0) this.onIdle?.()
    }
  }

  /**
   * A loop over a generator: bad arguments are thrown by the call itself, any other refusal by the first `next()`. `close`
   * waits for the step under way.
   * @param stop for a generator that ends by itself when the store is closed and when this is aborted. Its `return` would
   * otherwise wait for its next value.
   */
  loop<T>(
    begin: () => AsyncGenerator<T, void, undefined>,
    stop?: AbortController,
  ): AsyncGenerator<T, void, undefined> {
    let generator: AsyncGenerator<T, void, undefined>
    try {
      generator = begin()
      this.assertOpen()
    } catch (error) {
      if (!(error instanceof StateStoreError)) throw error
      generator = refused(error)
    }
    const next = generator.next.bind(generator)
    override(generator, 'next', async () => {
      if (this.isShut && stop === undefined) throw closedError()
      return await this.track(next)
    })
    const end = generator.return.bind(generator)
    return override(generator, 'return', value => {
      stop?.abort('ended') // Nobody sees it; without a reason, an error with a stack would be created.
      return end(value)
    })
  }

  /** @param closeBackend called once nothing is under way */
  close(closeBackend: () => Promise<void>): Promise<void> {
    this.closed ??= this.end(closeBackend)
    return this.closed
  }

  private async end(closeBackend: () => Promise<void>): Promise<void> {
    this.closing.abort(closedError())
    while (this.underWay > 0) {
      await new Promise<void>(resolve => {
        this.onIdle = resolve
      })
      await nextTurn() // By then a loop that goes on has asked for more.
    }
    this.isShut = true
    await closeBackend()
  }
}

export function closedError(): StateStoreError {
  return new StateStoreError('CLOSED', 'this store is closed')
}

/** Gives one object a method of its own. An assignment would fail where the inherited one is frozen. */
function override<T extends object, Name extends keyof T>(object: T, name: Name, value: T[Name]): T {
  return Object.defineProperty(object, name, { value, configurable: true, writable: true })
}

// biome-ignore lint/correctness/useYield: its first step is its last
async function* refused(error: StateStoreError): AsyncGenerator<never, void, undefined> {
  throw error
}
