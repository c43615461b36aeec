// Increments sandboxes, all at once, when told to; reports what came of each: together.mjs ROOT LOCK_TIMEOUT ID...
// Code and threads are loaded before, by changes of other sandboxes.
import { once } from 'node:events'
import { openStore } from 'sandbox-state'
import { outcomeOf } from './changes.mjs'

const [root, lockTimeout, ...ids] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: Number(lockTimeout) })
const warmUps = ids.map((_, i) => `warm-up-${i}`)
const increment = state => ({ ...state, blockIndex: state.blockIndex + 1 })
await Promise.all(warmUps.map(id => store.create(id)))
await Promise.all(warmUps.map(id => store.update(id, increment)))
await Promise.all(warmUps.map(id => store.delete(id)))

process.send('ready')
await once(process, 'message')
const outcomes = await Promise.all(
  ids.map(id => outcomeOf(async () => (await store.update(id, increment)).blockIndex)),
)
await store.close()
process.send(outcomes, () => process.disconnect())
