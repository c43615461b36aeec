// Told to go, changes sandboxes, and makes and deletes its own, until it is told to stop: load.mjs ROOT ID...
import { openStore } from 'sandbox-state'

const [root, ...ids] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 60_000 })
const increments = {}
const errors = []
let created = 0
let isOver = false

process.on('message', word => {
  if (word === 'go') void work()
  else isOver = true
})
process.send('ready')

async function work() {
  do {
    try {
      for (const id of ids) {
        await store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
        increments[id] = (increments[id] ?? 0) + 1
      }
      const own = `own-${process.pid}-${created % 3}`
      await store.create(own)
      await store.transition(own, 'ready', 'running')
      await store.delete(own, { force: true })
      created++
    } catch (error) {
      errors.push(`${error.code} ${error.message}`)
    }
  } while (!isOver)
  await store.close()
  process.send({ increments, errors, created }, () => process.disconnect())
}
