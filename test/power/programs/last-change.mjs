// Makes one change, or owns a sandbox, during which its filesystem is stopped, and prints how it ended: last-change.mjs ROOT CHANGE
import { writeFileSync } from 'node:fs'
import { openStore } from 'sandbox-state'

const [root, change] = process.argv.slice(2)
const store = await openStore(root)
await store.create('x')
writeFileSync(process.env.STOP, '')
const make = {
  delete: () => store.delete('x'),
  transition: () => store.transition('x', 'ready', 'running'),
  own: () => store.own('x'),
}
const end = await make[change]().then(
  () => 'acknowledged',
  error => error.code ?? String(error),
)
console.log(end)
await store.close()
