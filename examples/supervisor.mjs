// A supervisor that may be killed at any instant, and finds its sandboxes again when it restarts.
//
//     node examples/supervisor.mjs ROOT [COUNT] [--reap]
//
// It keeps COUNT sandboxes (2 by default), here processes that sleep. Each process inherits the ownership of its sandbox,
// which stays owned as long as that process lives, whatever happens to the supervisor. Try it: kill the supervisor
// (kill -9) and one sandbox, then restart the supervisor. It adopts the sandboxes that still run. Those that died are
// orphans; with --reap it stops them and starts them again. SIGTERM ends the supervisor and its sandboxes.
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
// It starts on a message, and ends if stdin closes first: a supervisor killed before it recorded the process leaves no stray.
const SANDBOX = `
  process.stdin.once('data', () => setInterval(() => {}, 1000))
  process.stdin.resume()
`
/** By id: the process, and a promise that resolves when it has ended. */
const kept = new Map()
let ending = false
const store = await openStore(root)

if (values.reap) for await (const { id, reason } of store.reap()) console.log(`${id}: stopped, ${reason}`)
await findAgain()
for (let i = 1; i <= Number(count); i++) await keep(`sandbox-${i}`)
const idle = setInterval(() => {}, 60_000) // Waits for a signal even without a sandbox.
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, endAll)
console.log('all sandboxes run')

/** Adopts the sandboxes of an earlier supervisor. */
async function findAgain() {
  for await (const { id, state, owner, error } of store.list()) {
    if (error !== undefined) console.log(`${id}: left alone, ${error.code}`)
    else if (!runs(state)) continue
    else if (owner?.state === 'owned') {
      // That supervisor has ended, so the owner is the sandbox's process. The kernel knows that; a pid would not prove it.
      watchOver(id, state.data.pid, store.own(id, { wait: true }))
      console.log(`${id}: found again, process ${state.data.pid} still runs`)
    } else console.log(`${id}: left alone, ${owner?.state ?? 'unowned'}`)
  }
}

/** Creates a sandbox, or starts one that does not run. */
async function keep(id) {
  const state = await read(id)
  if (state !== undefined && runs(state)) return
  if (state === undefined) await store.create(id)
  const owner = await store.own(id, { wait: true }) // A process without its message may be about to end.
  const child = spawn(process.execPath, ['-e', SANDBOX], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore', owner.fd],
  })
  const { pid } = child
  const owned = once(child, 'exit').then(() => owner)
  child.stdin.on('error', () => {}) // It has died already, which watchOver notices.
  await store.update(id, state => ({ ...state, state: 'running', data: { pid } }))
  child.stdin.end('go')
  watchOver(id, pid, owned)
  console.log(`${id}: process ${pid} started`)
}

/** @param owned resolves to the ownership of the sandbox when its process has ended */
function watchOver(id, pid, owned) {
  const ended = owned
    .then(owner => stop(id, owner))
    .catch(({ message }) => console.log(message)) // Another process may have deleted it.
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
