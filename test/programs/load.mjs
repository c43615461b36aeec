// Changes sandboxes all the time, and makes and deletes its own: load.mjs ROOT MS ID...
import { once } from 'node:events'
import { openStore } from 'sandbox-state'

const [root, ms, ...ids] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 60_000 })
const increments = {}
const errors = []
let created = 0

process.send('ready')
await once(process, 'message')
const end = performance.now() + Number(ms)
for (let i = 0; performance.now() < end; i++) {
  try {
    const id = ids[i % ids.length]
    await store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
    increments[id] = (increments[id] ?? 0) + 1
    const own = `own-${process.pid}-${i % 3}`
    await store.create(own)
    await store.transition(own, 'ready', 'running')
    await store.delete(own, { force: true })
    created++
  } catch (error) {
    errors.push(`${error.code} ${error.message}`)
  }
}
await store.close()
process.send({ increments, errors, created }, () => process.disconnect())
