// Follows the sandboxes below a root and tells its parent what it sees: follower.mjs ROOT
// Asked for a report, it sends the last state of each sandbox (null: deleted), and how it fared.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)
const store = await openStore(root)
const last = {}
const counts = { created: 0, changed: 0, deleted: 0, error: 0 }
const delay = monitorEventLoopDelay({ resolution: 1 })

process.on('message', word => {
  if (word === 'end') return store.close()
  const { user, system } = process.cpuUsage()
  const memory = process.memoryUsage().rss
  process.send({ last, counts, delay: delay.max / 1e6, cpu: (user + system) / 1e3, memory })
  delay.reset()
})
delay.enable()
process.send('following')
for await (const event of store.watch()) {
  counts[event.type]++
  last[event.id] = event.type === 'error' ? event.error.code : (event.state ?? null)
}
process.disconnect()
