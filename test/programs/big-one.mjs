// Makes changes of sandboxes all at once, some of them to too large a state: big-one.mjs ROOT create|update
// Reports what came of each, and what nobody caught. Code and threads are loaded before.
import { openStore } from 'sandbox-state'
import { inShort } from './changes.mjs'

const uncaught = []
process.on('uncaughtException', error => uncaught.push(String(error)))
const [root, call] = process.argv.slice(2)
const store = await openStore(root)
const big = { cgroupPath: `/${'x'.repeat(1024 * 1024)}` }

const calls = {
  create: (id, fields) => store.create(id, fields),
  update: (id, fields) => store.update(id, state => ({ ...state, ...fields })),
}
const together = (call, ids) =>
  Promise.all(ids.map(id => inShort(calls[call](id, id.startsWith('big') ? big : {}))))

await together('create', ['x', 'y', 'z'])
if (call === 'update') for (const id of ['big', 'big-2', ...'abcdefgh']) await store.create(id)
const rounds = []
for (const ids of [
  ['big', 'a', 'b', 'c'],
  ['d', 'big', 'e', 'f', 'big-2', 'g'],
  ['big', 'h'],
]) {
  rounds.push(await together(call, ids))
}
await store.close()
process.send({ rounds, uncaught }, () => process.disconnect())
