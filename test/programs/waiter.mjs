// Waits for a sandbox to be stopped, and sends its parent the state that it then has: waiter.mjs ROOT ID
import { openStore } from 'sandbox-state'

const [root, id] = process.argv.slice(2)
const store = await openStore(root)
const waiting = store.waitFor(id, 'stopped')
await store.waitFor(id, 'ready') // By then the other wait has begun.
process.send('waiting')
const { state } = await waiting
process.send({ state })
await store.close()
process.disconnect()
