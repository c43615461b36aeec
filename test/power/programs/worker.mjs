// Changes sandboxes at random until it is stopped: worker.mjs ROOT LOG NAME OPTIONS, which are Work in workers.ts as JSON.
// Before each change it appends to the log, which lies outside of ROOT's filesystem, what the sandbox will be, and
// after it that the store has acknowledged it. Ends when the store fails.
import { openSync, statSync, writeSync } from 'node:fs'
import { openStore, TRANSITIONS } from 'sandbox-state'
import { cgroupPathOf } from './payload.mjs'

const [root, log, name, options] = process.argv.slice(2)
const { durable, atOnce, blockLog } = JSON.parse(options)
const logFd = openSync(log, 'a')
const note = line => {
  const at = blockLog === undefined ? 0 : statSync(blockLog).size
  writeSync(logFd, `${JSON.stringify({ by: name, at, ...line })}\n`)
}
const pick = items => items[Math.floor(Math.random() * items.length)]

const store = await openStore(root, { durable })
const own = Array.from({ length: Math.max(3, atOnce) }, (_, i) => `${name}-${i}`)
const current = new Map(own.map(id => [id, null]))
const owners = new Map()
let count = 0

/** One change of a sandbox of this process's own, and what it makes of it. */
function next(id) {
  const before = current.get(id)
  count++
  const fields = { blockIndex: count, cgroupPath: cgroupPathOf(id, count) }
  if (before === null) {
    const after = { state: 'ready', blockIndex: count, isOwned: false }
    return { after, call: () => store.create(id, fields) }
  }
  const kind = Math.random()
  if (kind < 0.2) return { after: null, call: () => remove(id) }
  if (kind < 0.4) {
    const isOwned = !before.isOwned
    return { after: { ...before, isOwned }, call: () => (isOwned ? take(id) : release(id)) }
  }
  const moves = TRANSITIONS[before.state]
  if (kind < 0.7 && moves.length > 0) {
    const state = pick(moves)
    return { after: { ...before, state }, call: () => store.transition(id, before.state, state) }
  }
  return { after: { ...before, blockIndex: count }, call: () => store.update(id, s => ({ ...s, ...fields })) }
}

async function take(id) {
  owners.set(id, await store.own(id))
}

async function release(id) {
  await owners.get(id)?.release()
  owners.delete(id)
}

async function remove(id) {
  await store.delete(id, { force: true })
  await release(id)
}

async function changeOwn(id) {
  const { after, call } = next(id)
  note({ begin: id, after })
  await call()
  current.set(id, after)
  note({ done: id })
}

/** Every process counts it up. */
async function changeShared() {
  note({ begin: 'shared' })
  const { blockIndex } = await store.update('shared', state => {
    const blockIndex = state.blockIndex + 1
    return { ...state, blockIndex, cgroupPath: cgroupPathOf('shared', blockIndex) }
  })
  note({ done: 'shared', blockIndex })
}

try {
  await store.create('shared', { cgroupPath: cgroupPathOf('shared', 0) }).then(
    () => note({ created: 'shared' }),
    error => {
      if (error.code !== 'ALREADY_EXISTS') throw error
    },
  )
  for (;;) {
    if (atOnce > 1) await Promise.all([...own.map(changeOwn), changeShared()])
    else await (Math.random() < 0.8 ? changeOwn(pick(own)) : changeShared())
  }
} catch (error) {
  note({ failed: error.code ?? null, message: error.message })
}
await store.close()
