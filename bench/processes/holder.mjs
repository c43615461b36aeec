// Enters a change of a sandbox, says so, and stays inside until it is killed: holder.mjs ROOT ID
import { writeSync } from 'node:fs'
import { openStore } from 'sandbox-state'

const [root, id] = process.argv.slice(2)
const store = await openStore(root)
await store.update(id, state => {
  writeSync(1, 'inside\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
  return state
})
