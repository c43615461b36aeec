// Changes sandboxes at random while something is wrong with their disk: random-changes.mjs ROOT NAME
// A message { changes, rate, seed } starts it, and `stop` ends it early. With faults.c preloaded, `rate` of a million calls
// fail. After each change, its own sandboxes must be as the change said; `shared` is incremented by all processes.
// At the end it sends what it did and what was wrong; without faults.c, also how many changes it has made so far.
import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore, TRANSITIONS } from 'sandbox-state'

const [root, name] = process.argv.slice(2)
const faults = process.env.LD_PRELOAD ? await import('./faults.mjs') : undefined
const store = await openStore(root, { lockTimeout: 10_000 })
const IDS = ['a', 'b', 'c', 'd'].map(each => `${name}-${each}`)

/** What each sandbox is; undefined for none. */
const known = new Map(IDS.map(id => [id, undefined]))
const report = {
  changes: 0,
  acknowledged: 0,
  failed: 0,
  faults: 0,
  increments: [0, 0],
  wrong: [],
}

const oneOf = list => list[Math.floor(Math.random() * list.length)]
const same = (a, b) => a?.state === b?.state && a?.blockIndex === b?.blockIndex
const shown = state => (state === undefined ? 'none' : `${state.state} ${state.blockIndex}`)

/** A change that is allowed, with what the sandbox is then. */
function choose(id) {
  const state = known.get(id)
  if (state === undefined) return [() => store.create(id), { state: 'ready', blockIndex: 0 }]
  const { state: from, blockIndex } = state
  const kind = Math.random()
  if (kind < 0.2) return [() => store.delete(id, { force: true }), undefined]
  if (kind < 0.6) {
    return [
      () => store.update(id, now => ({ ...now, blockIndex: blockIndex + 1 })),
      { state: from, blockIndex: blockIndex + 1 },
    ]
  }
  const to = oneOf(TRANSITIONS[from])
  return [() => store.transition(id, from, to), { state: to, blockIndex }]
}

async function codeOf(call) {
  try {
    await call()
    return undefined
  } catch (error) {
    return error.code ?? error.stack
  }
}

async function stateOf(id) {
  try {
    return await store.read(id)
  } catch (error) {
    if (error.code === 'NOT_FOUND') return undefined
    return { state: error.message }
  }
}

/** Notes what became of a change, and what was wrong with it. */
async function judge(id, next, code) {
  const before = known.get(id)
  const after = await stateOf(id)
  known.set(id, after)
  report.changes++
  if (code === undefined) report.acknowledged++
  else if (code === 'IO_ERROR') report.failed++
  else if (code !== 'OUTCOME_UNKNOWN') report.wrong.push(`${id}: ${code}`)
  const right = code === undefined ? [next] : code === 'OUTCOME_UNKNOWN' ? [before, next] : [before]
  if (right.some(state => same(state, after))) return
  report.wrong.push(
    `${id}: ${shown(before)} to ${shown(next)}: ${code ?? 'acknowledged'}, but it is ${shown(after)}`,
  )
}

async function increment() {
  const code = await codeOf(() =>
    store.update('shared', state => ({ ...state, blockIndex: state.blockIndex + 1 })),
  )
  report.changes++
  if (code === undefined) report.increments[0]++
  else if (code === 'OUTCOME_UNKNOWN') report.increments[1]++
  else if (code === 'IO_ERROR') report.failed++
  else report.wrong.push(`shared: ${code}`)
}

/** A read or a list under faults is right, or a typed error. */
async function look() {
  const id = oneOf(IDS)
  const code = await codeOf(async () => {
    const state = await store.read(id)
    if (!same(state, known.get(id))) report.wrong.push(`${id} was read as ${shown(state)}`)
  })
  const isRight =
    code === undefined || code === 'IO_ERROR' || (code === 'NOT_FOUND' && known.get(id) === undefined)
  if (!isRight) report.wrong.push(`reading ${id}: ${code}`)
}

function openFiles() {
  const isOurs = fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)
    } catch {
      return false // It was the listing's own.
    }
  }
  return readdirSync('/proc/self/fd').filter(isOurs).length
}

async function run({ changes, rate, seed }) {
  for (let round = seed; report.changes < changes && !stopped; round++) {
    // Alone, or in company: then, on a disk, in the commit thread.
    const chosen = IDS.filter(() => Math.random() < 0.4).map(id => [id, ...choose(id)])
    faults?.faultsAtRandom(root, round, rate)
    await look()
    const codes = await Promise.all([increment(), ...chosen.map(([, change]) => codeOf(change))])
    report.faults += faults?.faultsOff() ?? 0
    for (const [i, [id, , next]] of chosen.entries()) await judge(id, next, codes[i + 1])
    if (faults !== undefined) continue
    process.send({ made: report.changes })
    await sleep(Math.random() * 4) // A filesystem with a file open to be written cannot be made read-only.
  }
  report.leaked = openFiles()
  await store.close()
  process.send(report, () => process.disconnect())
}

let stopped = false
process.on('message', message => {
  if (message === 'stop') stopped = true
  else run(message)
})
process.send('ready')
