// Has its own way with node:fs before it imports the store, then changes sandboxes: guarded-fs.mjs ROOT HOW
// Reports what became of the changes, which functions of node:fs are others now, and for which signals there are
// handlers; `watched` it reports which functions were assigned to by changes when all code was loaded.
import fs from 'node:fs'
import { constants } from 'node:os'

const [root, how] = process.argv.slice(2)
const names = Object.keys(fs).filter(name => typeof fs[name] === 'function')
const assigned = new Set()
let isLoaded = false

const ways = {
  untouched() {},
  frozen: () => Object.freeze(fs),
  /** As packages do that trace each call. */
  patched() {
    for (const name of names) {
      const original = fs[name]
      if (!/^[a-z]/.test(name) || original.prototype !== undefined) continue
      fs[name] = Object.assign((...args) => original.apply(fs, args), original)
    }
  },
  watched() {
    for (const name of names) {
      let value = fs[name]
      const set = next => {
        if (isLoaded) assigned.add(name)
        value = next
      }
      Object.defineProperty(fs, name, { enumerable: true, configurable: true, get: () => value, set })
    }
  },
}

ways[how]()
const own = Object.fromEntries(names.map(name => [name, fs[name]]))
const outcome = call =>
  call.then(
    () => 'ok',
    error => `${error}`,
  )
const outcomes = {}
try {
  const { openStore } = await import('sandbox-state')
  const store = await openStore(root)
  const ids = ['a', 'b', 'c']
  const each = call => Promise.all(ids.map(id => outcome(call(id))))
  await store.create('warm-up')
  isLoaded = true
  outcomes.create = await each(id => store.create(id))
  outcomes.transition = await each(id => store.transition(id, 'ready', 'running'))
  outcomes.update = await each(id => store.update(id, state => ({ ...state, blockIndex: 1 })))
  outcomes.repair = [await outcome(store.repair())]
  outcomes.delete = await each(id => store.delete(id, { force: true }))
  outcomes.close = [await outcome(store.close())]
} catch (error) {
  outcomes.thrown = [`${error}`]
}
const changed = names.filter(name => fs[name] !== own[name])
const handled = Object.keys(constants.signals).filter(signal => process.listenerCount(signal) > 0)
process.send({ outcomes, assigned: [...assigned], changed, handled }, () => process.disconnect())
