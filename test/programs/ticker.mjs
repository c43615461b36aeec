// Makes one change of a sandbox, and counts how often a timer of 5 ms fires while it waits for a lock:
// ticker.mjs ROOT ID create|update LOCK_TIMEOUT [say]
// With `say`, it says 'waiting' when it begins to wait.
import { subscribe } from 'node:diagnostics_channel'
import { CHANGE_CHANNEL, openStore } from 'sandbox-state'

const [root, id, what, lockTimeout, say] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: Number(lockTimeout) })
const calls = {
  create: () => store.create(id, { cgroupPath: '/new' }),
  update: () => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
}
await store.update(`none-${process.pid}`, state => state).catch(() => {})
let ticks = 0

function beginToWait() {
  if (say) process.send('waiting')
  setInterval(() => ticks++, 5).unref()
}

subscribe(`tracing:${CHANGE_CHANNEL}:start`, trace => {
  let wait
  Object.defineProperty(trace, 'lockWait', {
    get: () => wait,
    set(value) {
      if (wait === undefined) beginToWait()
      wait = value
    },
  })
})
const outcome = await calls[what]().then(
  () => ({ code: 'ok' }),
  error => ({ code: error.code ?? String(error) }),
)
await store.close()
process.send({ ...outcome, ticks }, () => process.disconnect())
