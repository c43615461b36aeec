// Makes one change, during which its filesystem is stopped, and prints how it ended: last-change.mjs ROOT CHANGE
import { writeFileSync } from 'node:fs'
import { openStore } from 'sandbox-state'

const [root, change] = process.argv.slice(2)
const store = await openStore(root)
await store.create('x')
writeFileSync(process.env.STOP, '')
const result = change === 'delete' ? store.delete('x') : store.transition('x', 'ready', 'running')
const end = await result.then(
  () => 'acknowledged',
  error => error.code ?? String(error),
)
console.log(end)
await store.close()
