// Waits for the word, then calls the store: racer.mjs ROOT ID create|transition|increment|label COUNT
import { once } from 'node:events'
import { openStore } from 'sandbox-state'

const [root, id, what, count] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 60_000, durable: what !== 'label' })
const calls = {
  create: () => store.create(id),
  transition: () => store.transition(id, 'ready', 'running'),
  increment: () => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
  label: () =>
    store.update(id, ({ labels, ...state }) => ({ ...state, labels: { ...labels, ...counted(labels) } })),
}

/** A label of this process alone. */
function counted(labels) {
  const name = `process-${process.pid}`
  return { [name]: String(Number(labels?.[name] ?? 0) + 1) }
}

process.send('ready')
await once(process, 'message')
const outcomes = []
for (let i = 0; i < Number(count); i++) {
  try {
    const { state } = await calls[what]()
    outcomes.push({ ok: true, result: state })
  } catch (error) {
    outcomes.push({ ok: false, code: error.code, message: error.message })
  }
}
await store.close()
process.send(outcomes, () => process.disconnect())
