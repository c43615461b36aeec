// Waits for the word, then repairs a root and reports what it did: repair-once.mjs ROOT
import { once } from 'node:events'
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 5_000 })
await store.repair({ dryRun: true }) // Loads what a repair needs.
process.send('ready')
await once(process, 'message')
const repairs = await store.repair()
await store.close()
process.send(repairs, () => process.disconnect())
