// Makes calls of one sandbox, one after another, and reports what came of each: calls.mjs ROOT ID update|repair|check...
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'

const [root, id, ...calls] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 1_000 })
const kinds = {
  create: async () => (await store.create(id)).state,
  update: async () => (await store.update(id, s => ({ ...s, blockIndex: s.blockIndex + 1 }))).blockIndex,
  repair: async () =>
    (await all(store.repair())).map(({ path, action, message }) => ({ path, action, message })),
  check: async () => (await all(store.check())).map(({ message }) => message),
}
const outcomes = []
for (const call of calls) {
  outcomes.push(await kinds[call]().catch(error => ({ code: error.code, message: error.message })))
}
await store.close()
process.send(outcomes, () => process.disconnect())
