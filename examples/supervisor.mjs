// A supervisor that may be killed at any instant, and finds its sandboxes again when it is started anew.
//
//     node examples/supervisor.mjs ROOT [COUNT] [--reap]
//
// It keeps COUNT sandboxes (2 by default), here processes that sleep. Each inherits the ownership of its sandbox: while it
// lives, the sandbox is owned, whatever becomes of the supervisor. Kill the supervisor (kill -9), let a sandbox die meanwhile,
// start the supervisor again: what still runs is adopted; what died is an orphan, which --reap stops and starts anew.
// SIGTERM ends the sandboxes, too.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { openStore } from 'sandbox-state'

const { positionals, values } = parseArgs({ allowPositionals: true, options: { reap: { type: 'boolean' } } })
const [root, count = '2'] = positionals
if (root === undefined) {
  console.error('usage: node examples/supervisor.mjs ROOT [COUNT] [--reap]')
  process.exit(2)
}
// It begins when it is told to. Told nothing, it ends: a supervisor killed before it noted the process leaves no stray.
const SANDBOX = `
  process.stdin.once('data', () => setInterval(() => {}, 1000))
  process.stdin.resume()
`
/** By id: the process, and a promise of its end. */
const kept = new Map()
let ending = false
const store = await openStore(root)

if (values.reap) for await (const { id, reason } of store.reap()) console.log(`${id}: stopped, ${reason}`)
await findAgain()
for (let i = 1; i <= Number(count); i++) await keep(`sandbox-${i}`)
const idle = setInterval(() => {}, 60_000) // Without a sandbox, too, it waits for a signal.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, endAll)
console.log('all sandboxes run')

/** What an earlier supervisor left. */
async function findAgain() {
  for await (const { id, state, owner, error } of store.list()) {
    if (error !== undefined) console.log(`${id}: left alone, ${error.code}`)
    else if (!runs(state)) continue
    else if (owner?.state === 'owned') {
      // That supervisor has ended, so it is the process that owns the sandbox: which the kernel knows, not the pid.
      watchOver(id, state.data.pid, store.own(id, { wait: true }))
      console.log(`${id}: found again, process ${state.data.pid} still runs`)
    } else console.log(`${id}: left alone, ${owner?.state ?? 'unowned'}`)
  }
}

/** Makes a sandbox, or starts one that stands still. */
async function keep(id) {
  const state = await read(id)
  if (state !== undefined && runs(state)) return
  if (state === undefined) await store.create(id)
  const owner = await store.own(id, { wait: true }) // A process that was told nothing may be about to end.
  const child = spawn(process.execPath, ['-e', SANDBOX], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore', owner.fd],
  })
  const { pid } = child
  const owned = once(child, 'exit').then(() => owner)
  child.stdin.on('error', () => {}) // It has died already, which is noticed like any death.
  await store.update(id, state => ({ ...state, state: 'running', data: { pid } }))
  child.stdin.end('go')
  watchOver(id, pid, owned)
  console.log(`${id}: process ${pid} started`)
}

/** @param owned resolves to the ownership of the sandbox, when its process has ended */
function watchOver(id, pid, owned) {
  const ended = owned
    .then(owner => stop(id, owner))
    .catch(({ message }) => console.log(message)) // Somebody may have deleted it.
    .finally(() => kept.delete(id))
  kept.set(id, { pid, ended })
}

async function stop(id, owner) {
  await store.update(id, state => ({ ...state, state: 'stopped' }), { reason: 'its process ended' })
  await owner.release()
  if (ending) await store.delete(id)
  console.log(`${id}: ${ending ? 'ended' : 'its process died, stopped'}`)
}

async function endAll() {
  ending = true
  const all = [...kept.values()]
  for (const { pid } of all) kill(pid)
  await Promise.all(all.map(({ ended }) => ended))
  await store.close()
  clearInterval(idle)
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

function runs({ state }) {
  return state === 'running' || state === 'paused'
}

async function read(id) {
  try {
    return await store.read(id)
  } catch (error) {
    if (error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
