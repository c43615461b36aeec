// Makes changes on demand, with all that a change loads already loaded: prepared.mjs ROOT [cold]
// With `cold`, it has the code, but has not changed anything.
// Each message { what, id } is one change; it runs between two calls that a tracer can see, and its outcome is sent.
import { readdirSync, statSync } from 'node:fs'
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'
import { changesOf, outcomeOf } from './changes.mjs'

const [root, cold] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 5_000 })
const calls = {
  ...changesOf(store),
  // Three sandboxes at once, with the outcome of each.
  batch: id => Promise.all([id, `${id}-2`, `${id}-3`].map(each => outcomeOf(() => calls.update(each)))),
  read: id => store.read(id),
  list: () => all(store.list()),
}

function mark(name) {
  statSync(`/proc/${name}-of-the-change`, { throwIfNoEntry: false })
}

async function run({ what, id }) {
  mark('begin')
  const outcome = await outcomeOf(() => calls[what](id))
  mark('end')
  return outcome
}

const warmUp = `warm-up-${process.pid}`
// Code, threads and packages are loaded by changes that matter to nobody; on a disk that is so only after a whole one.
if (cold === undefined) {
  await calls.create(warmUp)
  await calls.create(warmUp).catch(() => {})
}
await calls.update(warmUp).catch(() => {})
await calls.delete(warmUp).catch(() => {})
const descriptors = () => readdirSync('/proc/self/fd').length
descriptors()
// A collection of garbage in the middle of a change wakes threads, at one more write or less each time.
globalThis.gc()

process.on('message', async message => {
  const before = descriptors()
  const outcome = await run(message)
  process.send({ ...outcome, leaked: descriptors() - before })
})
process.send('ready')
