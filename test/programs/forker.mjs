// Changes a sandbox again and again while a thread of the process starts programs without a pause:
// forker.mjs ROOT ID COUNT [check|own]
// Between fork and exec, a child holds a copy of every descriptor. With `check`, the root is checked before each change;
// with `own`, the sandbox is owned, released and listed.
// Reports how many changes were made, how many faults were found, and the errors.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { openStore } from 'sandbox-state'

if (isMainThread) {
  const [root, id, count, beside] = process.argv.slice(2)
  const store = await openStore(root, { lockTimeout: 0 })
  await store.update(id, state => state)
  const stopped = new Int32Array(new SharedArrayBuffer(4))
  const thread = new Worker(new URL(import.meta.url), { workerData: stopped })
  await once(thread, 'online')
  const errors = {}
  let made = 0
  let found = 0
  for (let i = 0; i < Number(count); i++) {
    try {
      if (beside === 'check') for await (const _ of store.check()) found++
      if (beside === 'own') {
        const owner = await store.own(id)
        await owner.release()
        for await (const _ of store.list());
      }
      await store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
      made++
    } catch (error) {
      errors[error.code] = (errors[error.code] ?? 0) + 1
    }
    if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  Atomics.store(stopped, 0, 1)
  await once(thread, 'exit')
  await store.close()
  process.send({ made, found, errors }, () => process.disconnect())
} else {
  while (Atomics.load(workerData, 0) === 0) spawnSync('true')
}
