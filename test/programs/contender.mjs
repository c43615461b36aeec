// Changes a few sandboxes at random until it is told to stop, or killed: contender.mjs ROOT LOGS WITNESSES NAME
// LOGS/NAME gets a line before each call and one after it, which survive a kill as they are. While it is inside an
// update, the link WITNESSES/ID bears its name: a witness that knows nothing of the store's locks.
import { openSync, readlinkSync, symlinkSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, TRANSITIONS } from 'sandbox-state'

const [root, logs, witnesses, name] = process.argv.slice(2)
const log = openSync(join(logs, name), 'a')
const store = await openStore(root, { lockTimeout: 60_000 })
let stopped = false

/** In microseconds, on the machine's clock since its start. */
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = line => writeSync(log, `${JSON.stringify(line)}\n`)
const oneOf = list => list[Math.floor(Math.random() * list.length)]

function leave(witness) {
  try {
    symlinkSync(name, witness)
    return true
  } catch {
    return false
  }
}

/** `nobody` when another inside removed it, which nobody does that was killed. */
function nameAt(witness) {
  try {
    return readlinkSync(witness)
  } catch {
    return 'nobody'
  }
}

function remove(witness) {
  try {
    unlinkSync(witness)
  } catch {
    // Another inside did; it is on record.
  }
}

function increment(id) {
  return store.update(id, state => {
    const witness = join(witnesses, id)
    if (!leave(witness)) {
      note({ metInside: nameAt(witness), at: now(), id })
      remove(witness)
      leave(witness)
    }
    const until = performance.now() + 0.2
    while (performance.now() < until);
    const left = nameAt(witness)
    if (left !== name) note({ metInside: left, at: now(), id })
    remove(witness)
    return { ...state, blockIndex: state.blockIndex + 1 }
  })
}

const calls = {
  create: id => store.create(id),
  delete: async id => void (await store.delete(id)),
  increment,
  read: id => store.read(id),
  transition: (id, { from, to }) => store.transition(id, from, to),
}

/** The state that this process saw last, by sandbox: from it, a transition is likely to be allowed. */
const seen = {}

function choose(id) {
  const from = seen[id] ?? 'ready'
  const transition = { kind: 'transition', from, to: oneOf(TRANSITIONS[from]) }
  if (id.startsWith('count')) return { kind: Math.random() < 0.9 ? 'increment' : 'read' }
  if (id.startsWith('walk')) return Math.random() < 0.8 ? transition : { kind: 'read' }
  return oneOf([
    { kind: 'create' },
    { kind: 'create' },
    { kind: 'delete' },
    { kind: 'increment' },
    { kind: 'read' },
    transition,
  ])
}

async function call(id) {
  const input = choose(id)
  note({ start: now(), id, input })
  let output
  try {
    const result = await calls[input.kind](id, input)
    seen[id] = result?.state
    output = { state: result?.state, blockIndex: result?.blockIndex }
  } catch (error) {
    output = { code: error.code ?? String(error), message: error.message }
  }
  note({ end: now(), output })
}

process.once('message', () => {
  stopped = true
})
process.send('ready')
const ids = ['count-0', 'count-1', 'walk-0', 'walk-1', 'phoenix-0']
while (!stopped) {
  await call(oneOf(ids))
  await sleep(Math.random() * 12)
}
await store.close()
process.disconnect()
