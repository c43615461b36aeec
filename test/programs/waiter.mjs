// Waits for a sandbox to be stopped and tells its parent what that took: waiter.mjs ROOT ID
import { openStore } from 'sandbox-state'

const [root, id] = process.argv.slice(2)
const store = await openStore(root)
const waiting = store.waitFor(id, 'stopped')
// Not counted: to load what it takes and to look for the first time.
await new Promise(resolve => setTimeout(resolve, 500))
let since = performance.now()
let before = process.cpuUsage()
process.send('waiting')
process.on('message', () => {
  const { user, system } = process.cpuUsage(before)
  process.send({ cpu: (user + system) / 1e3, time: performance.now() - since })
  since = performance.now()
  before = process.cpuUsage()
})
const { state } = await waiting
process.send({ state })
await store.close()
process.disconnect()
