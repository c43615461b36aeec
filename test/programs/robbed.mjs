// Stops itself inside an update of one sandbox; continued, it stays there past its timeout: robbed.mjs ROOT ID LOCK_TIMEOUT
// Reports what came of it, and how often its function ran.
import { openStore } from 'sandbox-state'

const [root, id, lockTimeout] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: Number(lockTimeout) })
await store.read(id)
// Also beyond the first second, in which nobody's lock can be stale.
const stay = Math.max(Number(lockTimeout), 1_000) + 100
let runs = 0
const outcome = await store
  .update(id, state => {
    if (++runs === 1) {
      const since = performance.now()
      process.send({ inside: true })
      process.kill(process.pid, 'SIGSTOP')
      while (performance.now() - since < stay);
    }
    return { ...state, blockIndex: state.blockIndex + 1 }
  })
  .then(
    state => ({ ok: true, result: state.blockIndex }),
    error => ({ ok: false, code: error.code, message: error.message }),
  )
await store.close()
process.send({ ...outcome, runs }, () => process.disconnect())
