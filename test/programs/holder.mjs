// Stays inside an update of one sandbox, then finishes it: holder.mjs ROOT ID [stopped|late|blocked]
// `stopped`: it stops itself with SIGSTOP, and runs on when it is continued. `late`: so, too, but then it stays for another
// second, past its timeout. `blocked`: its event loop stands still until its standard input ends; without, until it is killed.
// Reports what came of it, and how often its function ran.
import { readSync } from 'node:fs'
import { openStore } from 'sandbox-state'
import { outcomeOf } from './changes.mjs'

const [root, id, how] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: how === 'late' ? 300 : 60_000 })
await store.read(id)
const sleep = ms => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

function stay() {
  process.send('inside')
  if (how === 'blocked') readSync(0, Buffer.alloc(1))
  else if (how === undefined) sleep()
  else process.kill(process.pid, 'SIGSTOP')
  // Also beyond the first second, in which no lock can be stale.
  if (how === 'late') sleep(1_100)
}

let runs = 0
const outcome = await outcomeOf(async () => {
  const { blockIndex } = await store.update(id, state => {
    // It runs again, on a newer state, when a stranger took the lock away meanwhile.
    if (++runs === 1) stay()
    return { ...state, blockIndex: state.blockIndex + 1 }
  })
  return blockIndex
})
await store.close()
process.send({ ...outcome, runs }, () => process.disconnect())
