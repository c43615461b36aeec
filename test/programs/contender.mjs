// Works on a few sandboxes at random until it is told to stop, or killed: contender.mjs ROOT PLACE NAME REST ID...
// The ids say what is done: `count-0` is counted up, alone and in batches, `walk-0` moved, `phoenix-0` also deleted and
// made anew; for `vm-0` and `run-0` see owning.mjs. PLACE/logs/NAME gets a line before each call of the first three and
// one after it, which survive a kill as they are, and a line for whatever must not be.
import { openSync, readdirSync, readlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, TRANSITIONS } from 'sandbox-state'
import { owning } from './owning.mjs'
import { self, Witness } from './witness.mjs'

const [root, place, name, rest, ...ids] = process.argv.slice(2)
const log = openSync(join(place, 'logs', name), 'a')
const store = await openStore(root, { lockTimeout: 60_000 })
const witness = new Witness(join(place, 'witnesses'))
let stopped = false
let count = 0

/** In microseconds, on the machine's clock since its start. */
const now = () => Number(process.hrtime.bigint() / 1000n)
const note = line => writeSync(log, `${JSON.stringify(line)}\n`)
const oneOf = list => list[Math.floor(Math.random() * list.length)]

function increment(id) {
  return store.update(id, state => {
    const others = witness.enter(id)
    if (others.length > 0) note({ violation: `${self} met ${others} inside a change of ${id}` })
    const until = performance.now() + 0.2
    while (performance.now() < until);
    if (!witness.leave(id)) note({ violation: `somebody entered a change of ${id} while ${self} was inside` })
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
  const nth = count++
  note({ nth, start: now(), id, input })
  let output
  try {
    const result = await calls[input.kind](id, input)
    seen[id] = result?.state
    output = { state: result?.state, blockIndex: result?.blockIndex }
  } catch (error) {
    output = { code: error.code ?? String(error), message: error.message }
  }
  note({ nth, end: now(), output })
}

/** A change of one sandbox, or of several at once, which may share a flush. */
async function change(id) {
  const batch = Math.random() < 0.1 ? ids.filter(isPlain) : [id]
  await Promise.all(batch.map(call))
}

const isPlain = id => /^(count|walk|phoenix)/.test(id)
const { vm, run, releaseAll } = owning({ root, store, witness, note })
const work = id => (isPlain(id) ? change(id) : id.startsWith('vm') ? vm(id) : run(id))

process.on('disconnect', () => process.exit())
process.once('message', () => {
  stopped = true
})
process.send({ pid: self })
while (!stopped) {
  await work(oneOf(ids))
  await sleep(Math.random() * Number(rest))
}
await releaseAll()
await store.close()
for (const fd of readdirSync('/proc/self/fd')) {
  const path = linkOf(`/proc/self/fd/${fd}`)
  if (path.startsWith(`${root}/`)) note({ violation: `${path} was left open` })
}
process.disconnect()

/** The descriptor of the listing itself is closed by now. */
function linkOf(path) {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
