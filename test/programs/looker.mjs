// Looks at the sandboxes below a root, again and again, until it is told to stop: looker.mjs ROOT locks|check
// Reports how often it looked.
import { openStore } from 'sandbox-state'

const [root, what] = process.argv.slice(2)
const store = await openStore(root)
let looks = 0
let stopped = false
process.once('message', () => {
  stopped = true
})
while (!stopped) {
  for await (const _ of store[what]());
  if (++looks === 1) process.send('looking')
  if (looks % 20 === 0) await new Promise(resolve => setImmediate(resolve))
}
await store.close()
process.send(looks, () => process.disconnect())
