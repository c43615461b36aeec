// Makes one change of a sandbox, and counts how often a timer of 5 ms fires meanwhile: ticker.mjs ROOT ID create|update LOCK_TIMEOUT [say]
// With `say`, it says 'waiting' once it waits for a lock.
import { subscribe } from 'node:diagnostics_channel'
import { CHANGE_CHANNEL, openStore } from 'sandbox-state'

const [root, id, what, lockTimeout, say] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: Number(lockTimeout) })
const calls = {
  create: () => store.create(id, { cgroupPath: '/new' }),
  update: () => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
}
await store.update(`none-${process.pid}`, state => state).catch(() => {})
let trace
subscribe(`tracing:${CHANGE_CHANNEL}:start`, started => {
  trace = started
})
let ticks = 0
let isWaiting = say === undefined
setInterval(() => {
  ticks++
  if (isWaiting || trace?.lockWait === undefined) return
  isWaiting = true
  process.send('waiting')
}, 5).unref()
const outcome = await calls[what]().then(
  () => ({ code: 'ok' }),
  error => ({ code: error.code ?? String(error) }),
)
await store.close()
process.send({ ...outcome, ticks }, () => process.disconnect())
