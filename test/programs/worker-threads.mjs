// Uses the store in worker threads of its own, one after the other; the last one is terminated in the middle of its changes.
// Sends its parent how many threads each started, the descriptors that stay open, and what can be done afterwards:
// worker-threads.mjs ROOT
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import workerThreads, { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const COUNT = 6
const IDS = ['a', 'b', 'c', 'd']
const increment = state => ({ ...state, blockIndex: state.blockIndex + 1 })

async function main() {
  const root = process.argv[2]
  const { openStore } = await import('sandbox-state')
  const store = await openStore(root)
  await Promise.all(IDS.map(id => store.create(id)))
  await store.close()
  const before = openFiles(root)
  const started = []
  let left
  for (let n = 0; n < COUNT; n++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { root, ends: n < COUNT - 1 } })
    const ended = once(worker, 'exit')
    const [threads] = await once(worker, 'message')
    started.push(threads)
    if (n === COUNT - 1) worker.terminate()
    await ended
    if (n === COUNT - 2) left = openFiles(root).length - before.length
  }
  const after = await openStore(root, { lockTimeout: 5_000 })
  const states = await Promise.all(IDS.map(id => after.update(id, increment)))
  await after.close()
  process.send({ started, left, changed: states.length }, () => process.disconnect())
}

async function work({ root, ends }) {
  let started = 0
  workerThreads.Worker = class extends Worker {
    constructor(...args) {
      super(...args)
      started++
    }
  }
  syncBuiltinESMExports()
  const { openStore } = await import('sandbox-state')
  const store = await openStore(root)
  for (let round = 0; round < 3; round++) await Promise.all(IDS.map(id => store.update(id, increment)))
  parentPort.postMessage(started)
  if (ends) return store.close()
  for (;;) await Promise.all(IDS.map(id => store.update(id, increment)))
}

function openFiles(root) {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)
    } catch {
      return false // It was the listing's own.
    }
  })
}

await (isMainThread ? main() : work(workerData))
