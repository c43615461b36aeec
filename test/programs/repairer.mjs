// Waits for the word, then repairs a root: repairer.mjs ROOT
import { once } from 'node:events'
import { openStore } from 'sandbox-state'

const store = await openStore(process.argv[2], { lockTimeout: 5000 })
await store.repair({ dryRun: true }) // Loads what a repair needs.
process.send('ready')
await once(process, 'message')
const repairs = await store.repair()
await store.close()
process.send(repairs, () => process.disconnect())
