// Gives up root's rights with the store open, once inside a change: dropped-rights.mjs ROOT UID ID
// Sends what came of a change during which it did so, and of every call after that.
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'
import { changesOf, outcomeOf } from './changes.mjs'

const [root, uid, id] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 0 })
// By now, on a slow disk, changes are made in a thread, whose rights go with those of the process.
for (let i = 0; i < 2; i++) await store.update(id, state => state)

function dropRights() {
  process.setgroups([])
  process.setgid(Number(uid))
  process.setuid(Number(uid))
}

const list = async () => (await all(store.list())).map(({ id }) => id)

const changes = changesOf(store)
const outcomes = {
  during: await outcomeOf(() =>
    store.update(id, state => {
      dropRights()
      return { ...state, blockIndex: 1 }
    }),
  ),
  read: await outcomeOf(() => store.read(id)),
  update: await outcomeOf(() => changes.update(id)),
  transition: await outcomeOf(() => changes.transition(id)),
  create: await outcomeOf(() => changes.create('new')),
  delete: await outcomeOf(() => changes.delete('other')),
  list: await outcomeOf(list),
}
await store.close()
process.send(outcomes, () => process.disconnect())
