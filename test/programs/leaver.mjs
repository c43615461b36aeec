// Follows sandboxes and stops in each of the ways there are, one after another, and prints what would keep it alive then:
// leaver.mjs ROOT
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)

const ways = {
  async break(store) {
    for await (const _ of store.watch()) break
  },
  async signal(store, controller) {
    setTimeout(() => controller.abort(), 50)
    for await (const _ of store.watch({ signal: controller.signal }));
  },
  async close(store) {
    setTimeout(() => store.close(), 50)
    for await (const _ of store.watch());
  },
  /** The program never asks for the next event, so that the watch is not told to stop by its loop. */
  async 'signal, unasked'(store, controller) {
    await store.watch({ signal: controller.signal }).next()
    controller.abort()
  },
  async 'close, unasked'(store) {
    await store.watch().next()
    await store.close()
  },
  async 'return while waiting'(store) {
    const events = store.watch({ id: 'a' })
    await events.next()
    const next = events.next()
    await new Promise(resolve => setTimeout(resolve, 50))
    await events.return()
    if (!(await next).done) throw new Error('there was no event to come')
  },
  async throw(store) {
    const loop = async () => {
      for await (const _ of store.watch()) throw new Error('mine')
    }
    await loop().catch(() => {})
  },
  async waitFor(store) {
    await store.waitFor('a', 'ready')
  },
  async 'waitFor aborted'(store, controller) {
    setTimeout(() => controller.abort(), 50)
    await store.waitFor('a', 'stopped', { signal: controller.signal }).catch(() => {})
  },
  async 'a root that never comes'(_, controller) {
    setTimeout(() => controller.abort(), 50)
    const other = await openStore(`${root}/not/there`)
    for await (const _ of other.watch({ signal: controller.signal }));
  },
}

for (const [way, leave] of Object.entries(ways)) {
  await leave(await openStore(root), new AbortController())
  // What is closed is gone only at the end of a turn of the loop.
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
  const left = process.getActiveResourcesInfo().filter(kind => /FSEvent|Timeout/.test(kind))
  console.log(`${way}: ${left.join(' ') || 'nothing'}`)
}
