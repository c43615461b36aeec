// Changes a sandbox again and again until it is told to stop: etcd-load.mjs ROOT ID NAME
// Each change leaves a mark of its own, so that etcd's history tells what was made of it.
import { openStore } from 'sandbox-state'

const [root, id, name] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 30_000 })
let stopped = false
process.once('message', () => {
  stopped = true
})
process.send('ready')

const outcomes = []
for (let i = 0; !stopped; i++) {
  const mark = `${name}-${i}`
  try {
    await store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1, cgroupPath: mark }))
    outcomes.push({ ok: true, result: mark })
  } catch (error) {
    outcomes.push({ ok: false, result: mark, code: error.code, message: error.message })
  }
}
await store.close()
process.send(outcomes, () => process.disconnect())
