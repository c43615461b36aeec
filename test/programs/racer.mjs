// Does each work that it is sent, `{ root, id, what, count }`, and reports what came of it: racer.mjs
import { openStore } from 'sandbox-state'

const calls = {
  create: (store, id) => store.create(id),
  transition: (store, id) => store.transition(id, 'ready', 'running'),
  increment: (store, id) => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
  label: (store, id) =>
    store.update(id, ({ labels, ...state }) => ({ ...state, labels: { ...labels, ...counted(labels) } })),
}

/** A label of this process alone. */
function counted(labels) {
  const name = `process-${process.pid}`
  return { [name]: String(Number(labels?.[name] ?? 0) + 1) }
}

process.on('message', async ({ root, id, what, count = 1 }) => {
  const store = await openStore(root, { lockTimeout: 60_000, durable: what !== 'label' })
  const outcomes = []
  for (let i = 0; i < count; i++) {
    try {
      const { state } = await calls[what](store, id)
      outcomes.push({ ok: true, result: state })
    } catch (error) {
      outcomes.push({ ok: false, code: error.code, message: error.message })
    }
  }
  await store.close()
  process.send(outcomes)
})
process.send('ready')
