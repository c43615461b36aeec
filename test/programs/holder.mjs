// Stays inside an update of one sandbox, then finishes it: holder.mjs ROOT ID stopped|blocked MS
// `stopped`: it stops itself with SIGSTOP, and runs on when it is continued. `blocked`: its event loop stands still.
import { openStore } from 'sandbox-state'

const [root, id, how, ms] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 60_000 })
await store.read(id)
let asked = 0
const outcome = await store
  .update(id, state => {
    // Asked again, on a newer state, when a stranger took the lock away meanwhile.
    if (asked++ > 0) return { ...state, blockIndex: state.blockIndex + 1 }
    process.send({ inside: true, since: Date.now() })
    if (how === 'stopped') process.kill(process.pid, 'SIGSTOP')
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms))
    return { ...state, blockIndex: state.blockIndex + 1 }
  })
  .then(
    state => ({ ok: true, result: state.blockIndex }),
    error => ({ ok: false, code: error.code, message: error.message }),
  )
process.send(outcome)
await store.close()
process.disconnect()
