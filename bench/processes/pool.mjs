import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))
/** Ms: far more than any command takes. */
const PATIENCE = 120_000
/** Started so many at a time, or all would wait for the processor together. */
const AT_ONCE = 4

/** Processes that live through all rounds and all contenders: starting 32 of them takes seconds. */
export class Pool {
  #workers = []

  /** Starts more processes until there are so many. */
  async grow(count) {
    while (this.#workers.length < count) {
      const fresh = Array.from({ length: Math.min(AT_ONCE, count - this.#workers.length) }, () =>
        fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
      )
      this.#workers.push(...fresh)
      await Promise.all(fresh.map(answer))
    }
  }

  /** Tells the first processes something, each its own, all together; returns what each answers. */
  async tell(messages) {
    const answers = this.#workers.slice(0, messages.length).map(answer)
    for (const [index, message] of messages.entries()) this.#workers[index].send(message)
    return Promise.all(answers)
  }

  kill() {
    for (const worker of this.#workers) worker.kill('SIGKILL')
    this.#workers = []
  }
}

async function answer(worker) {
  const patience = new AbortController()
  const signal = AbortSignal.any([patience.signal, AbortSignal.timeout(PATIENCE)])
  try {
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('a process of the benchmark ended before its time')
    })
    const [{ result, error }] = await Promise.race([once(worker, 'message', { signal }), ended])
    if (error !== undefined) throw new Error(`a process of the benchmark failed: ${error}`)
    return result
  } finally {
    patience.abort()
  }
}
