// Watches where the system has no watch left, on a clock of its own: it stands still but while a file is looked for
// (0.02 ms) and while a timer is awaited. Sends its parent the number of looks in 100 s: unwatched.mjs ROOT [ID]
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const [root, id] = process.argv.slice(2)
const END = 100_000
const COST = 0.02
const ended = new AbortController()
let now = 0
let looks = 0

performance.now = () => now
globalThis.setTimeout = (callback, ms) => setImmediate(() => pass(ms, callback))
globalThis.clearTimeout = clearImmediate
fs.watch = () => {
  throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
}
for (const name of ['lstatSync', 'openSync']) {
  const call = fs[name]
  fs[name] = (...args) => {
    looks++
    return pass(COST, () => call(...args))
  }
}
syncBuiltinESMExports()

function pass(ms, then) {
  now += ms
  if (now >= END) ended.abort()
  return then()
}

const { openStore } = await import('sandbox-state')
const store = await openStore(root)
looks = 0
for await (const _ of store.watch({ id, signal: ended.signal }));
process.send(looks)
process.disconnect()
