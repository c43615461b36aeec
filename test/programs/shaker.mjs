// Changes sandboxes at random, together with others of its kind: shaker.mjs ROOT COUNT NUMBER
// s0 to s899 are moved and updated; s900 to s999 are made and deleted, too. Number 0 changes each of s0 to s99 once
// with a store that keeps no history. Reports how many changes of each sandbox were acknowledged.
import { openStore, TRANSITIONS } from 'sandbox-state'

const [root, count, number] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 60_000 })
const silent = await openStore(root, { lockTimeout: 60_000, history: false })
const acknowledged = {}
const errors = []
const unrecorded = number === '0' ? Array.from({ length: 100 }, (_, i) => `s${i}`) : []

function pick(list) {
  return list[Math.floor(Math.random() * list.length)]
}

/** What fails because others were faster is no change. */
async function attempt(id, change) {
  try {
    await change()
    acknowledged[id] = (acknowledged[id] ?? 0) + 1
  } catch (error) {
    const expected = ['STATE_MISMATCH', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_TRANSITION']
    if (!expected.includes(error.code)) errors.push(String(error))
  }
}

const bump = state => ({ ...state, blockIndex: state.blockIndex + 1 })

async function shake(i) {
  const id = `s${Math.floor(Math.random() * 1_000)}`
  if (i % 5 === 0 && unrecorded.length > 0) {
    const next = unrecorded.pop()
    return attempt(next, () => silent.update(next, bump))
  }
  const isTransient = Number(id.slice(1)) >= 900
  if (isTransient && i % 3 === 0) {
    return attempt(id, () => (Math.random() < 0.5 ? store.create(id) : store.delete(id, { force: true })))
  }
  if (i % 2 === 0) return attempt(id, () => store.update(id, bump))
  return attempt(id, async () => {
    const { state } = await store.read(id)
    await store.transition(id, state, pick(TRANSITIONS[state]))
  })
}

process.send('ready')
process.once('message', async () => {
  for (let i = 0; i < Number(count) || unrecorded.length > 0; i++) {
    await shake(i)
    // On a memory filesystem a change waits for nothing, and the loop would not turn.
    if (i % 20 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await store.close()
  await silent.close()
  process.send({ acknowledged, errors }, () => process.disconnect())
})
