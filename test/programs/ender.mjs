// Ends in the midst of a change: ender.mjs ROOT WAY rules|flush
// `rules`: inside the update function, under both locks; `flush`: while the new state is being flushed in a thread.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { openStore } from 'sandbox-state'

const [root, way, place] = process.argv.slice(2)

const ways = {
  exit: () => process.exit(0),
  throw: () => queueMicrotask(fail),
  abort: () => process.abort(),
  'use all memory': () => {
    for (const all = []; ; ) all.push(new Array(100_000).fill(all.length))
  },
  'be killed by SIGTERM': () => process.kill(process.pid, 'SIGTERM'),
  'terminate its worker': () => {
    parentPort.postMessage('inside')
    for (;;); // Until it is terminated.
  },
}

function fail() {
  throw new Error('nobody catches this')
}

async function change(root) {
  const store = await openStore(root)
  // The second one is made in a thread if the disk is slow.
  await store.update('a', state => state)
  const changed = store.update('a', state => {
    if (place === 'rules') ways[way]()
    return { ...state, blockIndex: 1 }
  })
  if (place === 'flush') {
    while (!existsSync(join(root, 'a', '.state.json.tmp')))
      await new Promise(resolve => setImmediate(resolve))
    ways[way]()
  }
  await changed
}

if (!isMainThread) await change(workerData)
else if (way !== 'terminate its worker') await change(root)
else {
  const worker = new Worker(new URL(import.meta.url), { workerData: root, argv: process.argv.slice(2) })
  worker.once('message', async () => {
    await worker.terminate()
    process.send('terminated')
  })
}
