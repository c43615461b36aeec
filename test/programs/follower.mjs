// Follows the sandboxes below a root and tells its parent what it sees: follower.mjs ROOT
// Asked for a report, it sends the last state of each sandbox (null: deleted), the number of events and its memory.
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)
const store = await openStore(root)
const last = {}
const counts = { created: 0, changed: 0, deleted: 0, error: 0 }

process.on('message', word => {
  if (word === 'end') return store.close()
  process.send({ last, counts, memory: process.memoryUsage().rss })
})
process.send('following')
for await (const event of store.watch()) {
  counts[event.type]++
  last[event.id] = event.type === 'error' ? event.error.code : (event.state ?? null)
}
process.disconnect()
