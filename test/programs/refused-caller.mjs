// Makes changes that fail, two at once, and reports each error with its stack: refused-caller.mjs ROOT
// Sandbox `a` is ready, nothing can be written in the folder of sandbox `b`. Code and threads are loaded before.
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)
const store = await openStore(root)
await Promise.all(['a', 'c'].map(id => store.update(id, state => state)))

async function theCaller(id, from, to) {
  await store.transition(id, from, to)
}

const outcomes = await Promise.allSettled([
  theCaller('a', 'running', 'paused'),
  theCaller('b', 'ready', 'running'),
])
await store.close()
const reports = outcomes.map(({ reason }) => ({ code: reason?.code, stack: reason?.stack }))
process.send(reports, () => process.disconnect())
