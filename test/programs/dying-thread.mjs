// The commit thread dies in the middle of changes of three sandboxes: dying-thread.mjs ROOT early|late
// It does so while it waits for the last change's rules (early), or after it has been given them (late). With slow-disk.mjs
// preloaded, there is such a thread.
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'

const [root, when] = process.argv.slice(2)
const threads = []
process.on('worker', thread => threads.push(thread))
const store = await openStore(root, { lockTimeout: 0 })
const ids = ['a', 'b', 'c']
const indexes = () => Promise.all(ids.map(async id => (await store.read(id)).blockIndex))
const outcome = ({ value, reason }) => reason?.code ?? value.blockIndex

async function updateAll(update) {
  return (await Promise.allSettled(ids.map(id => store.update(id, update)))).map(outcome)
}

await Promise.all(ids.map(id => store.create(id)))
await updateAll(state => state)
const begun = threads.length
let applied = 0
// The thread cannot take this for a message: an uncaught exception.
const kill = () => threads[0].postMessage(null)
const outcomes = await updateAll(state => {
  applied++
  if (applied === ids.length) {
    if (when === 'early') kill()
    else queueMicrotask(kill)
  }
  return { ...state, blockIndex: 1 }
})
const after = await indexes()
const next = await updateAll(state => ({ ...state, blockIndex: 2 }))
const findings = await all(store.check())
await store.close()
process.send({ begun, outcomes, after, next, findings }, () => process.disconnect())
