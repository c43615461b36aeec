// Uses the store's calls and loops, and sends its parent what came of them: everything.mjs ROOT
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'

const store = await openStore(process.argv[2])
const { state: created } = await store.create('a')
await store.transition('a', 'ready', 'running')
let watched
for await (const { type, id } of store.watch()) {
  watched = `${type} ${id}`
  break
}
const listed = (await all(store.list())).map(({ id }) => id)
const history = (await all(store.history('a'))).map(({ to }) => to)
const found = await all(store.check())
await store.close()
process.send({ created, listed, watched, history, found, closed: true }, () => process.disconnect())
