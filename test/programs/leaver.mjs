// Follows sandboxes and stops in one of the ways there are; then nothing may keep it alive: leaver.mjs ROOT WAY
import { openStore } from 'sandbox-state'

const [root, way] = process.argv.slice(2)
const store = await openStore(root)
const controller = new AbortController()
const { signal } = controller

const ways = {
  async break() {
    for await (const _ of store.watch()) break
  },
  async signal() {
    setTimeout(() => controller.abort(), 50)
    for await (const _ of store.watch({ signal }));
  },
  async close() {
    setTimeout(() => store.close(), 50)
    for await (const _ of store.watch());
  },
  /** The program never asks for the next event, so that the watch is not told to stop by its loop. */
  async 'signal, unasked'() {
    await store.watch({ signal }).next()
    controller.abort()
  },
  async 'close, unasked'() {
    await store.watch().next()
    await store.close()
  },
  async 'return while waiting'() {
    const events = store.watch({ id: 'a' })
    await events.next()
    const next = events.next()
    await new Promise(resolve => setTimeout(resolve, 50))
    await events.return()
    if (!(await next).done) throw new Error('there was no event to come')
  },
  async throw() {
    const loop = async () => {
      for await (const _ of store.watch()) throw new Error('mine')
    }
    await loop().catch(() => {})
  },
  async waitFor() {
    await store.waitFor('a', 'ready')
  },
  async 'waitFor aborted'() {
    setTimeout(() => controller.abort(), 50)
    await store.waitFor('a', 'stopped', { signal }).catch(() => {})
  },
  async 'a root that never comes'() {
    setTimeout(() => controller.abort(), 50)
    const other = await openStore(`${root}/not/there`)
    for await (const _ of other.watch({ signal }));
  },
}

await ways[way]()
// What is closed is gone only at the end of a turn of the loop.
for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
console.log(JSON.stringify(process.getActiveResourcesInfo().filter(kind => /FSEvent|Timeout/.test(kind))))
