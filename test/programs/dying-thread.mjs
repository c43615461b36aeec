// The commit thread dies in the middle of changes of three sandboxes: dying-thread.mjs ROOT early|late
// It does so while it waits for the last change's rules (early), or after it has been given them (late).
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { openStore } from 'sandbox-state'

// A flush on the spot is slow, so that the changes after it are made in the thread on any disk.
const { fsyncSync } = fs
fs.fsyncSync = fd => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4)
  fsyncSync(fd)
}
syncBuiltinESMExports()

const [root, when] = process.argv.slice(2)
const threads = []
process.on('worker', thread => threads.push(thread))
const store = await openStore(root, { lockTimeout: 0 })
const ids = ['a', 'b', 'c']
const indexes = () => Promise.all(ids.map(async id => (await store.read(id)).blockIndex))
const outcome = ({ value, reason }) => reason?.code ?? value.blockIndex

async function updateAll(update) {
  return (await Promise.allSettled(ids.map(id => store.update(id, update)))).map(outcome)
}

await Promise.all(ids.map(id => store.create(id)))
await updateAll(state => state)
const begun = threads.length
let applied = 0
// What is no message is an uncaught exception in the thread.
const kill = () => threads[0].postMessage(null)
const outcomes = await updateAll(state => {
  applied++
  if (applied === ids.length) {
    if (when === 'early') kill()
    else queueMicrotask(kill)
  }
  return { ...state, blockIndex: 1 }
})
const after = await indexes()
const next = await updateAll(state => ({ ...state, blockIndex: 2 }))
const findings = []
for await (const finding of store.check()) findings.push(finding)
await store.close()
process.send({ begun, outcomes, after, next, findings }, () => process.disconnect())
