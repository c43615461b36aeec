import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))
/** In ms: far more than any command takes. */
const TIMEOUT = 120_000
/** More would compete for the processor while they start. */
const STARTED_AT_ONCE = 4

const running = new Set()

/** Starts processes that obey the commands of worker.mjs. */
export async function startProcesses(count) {
  const workers = []
  while (workers.length < count) {
    const more = Array.from({ length: Math.min(STARTED_AT_ONCE, count - workers.length) }, startWorker)
    workers.push(...more)
    await Promise.all(more.map(answer))
  }
  const ask = (index, message) => {
    const answered = answer(workers[index])
    workers[index].send(message)
    return answered
  }
  return {
    /** Sends a message to one process; returns its answer. */
    ask,
    /** Sends each process the message of its index; returns all answers. */
    askAll: messages => Promise.all(messages.map((message, index) => ask(index, message))),
    /** Kills one process, or all of them. */
    kill(index) {
      for (const worker of index === undefined ? workers : [workers[index]]) worker.kill('SIGKILL')
    },
  }
}

/** Kills all processes of all pools. */
export function killProcesses() {
  for (const worker of running) worker.kill('SIGKILL')
}

function startWorker() {
  const worker = fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  running.add(worker)
  worker.once('exit', () => running.delete(worker))
  return worker
}

async function answer(worker) {
  const answered = new AbortController()
  const signal = AbortSignal.any([answered.signal, AbortSignal.timeout(TIMEOUT)])
  try {
    const ended = once(worker, 'exit', { signal }).then(() => {
      throw new Error('a process of the benchmark ended too early')
    })
    const [{ result, error }] = await Promise.race([once(worker, 'message', { signal }), ended])
    if (error !== undefined) throw new Error(`a process of the benchmark failed: ${error}`)
    return result
  } finally {
    answered.abort()
  }
}
