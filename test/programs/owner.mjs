// Owns sandboxes and starts children, as it is told: owner.mjs ROOT
// Each message is [what, id]; its outcome is sent back.
import { fork, spawn } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'

const store = await openStore(process.argv[2], { lockTimeout: 10_000 })
const owners = new Map()
const IDLE = ['-e', 'setInterval(() => {}, 1000); process.send?.("ready")']

/** A child that lives on when this process is killed. */
async function sleeper(...inherited) {
  const child = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', ...inherited] })
  await once(child, 'spawn')
  child.unref()
  return child.pid
}

const calls = {
  own: async id => {
    owners.set(id, await store.own(id))
    return process.pid
  },
  'hand over': id => sleeper(owners.get(id).fd),
  spawn: () => sleeper(),
  fork: async () => {
    const child = fork('-', { execArgv: IDLE, detached: true })
    await once(child, 'message')
    return child.pid
  },
  cluster: async () => {
    cluster.setupPrimary({ exec: '-', execArgv: IDLE })
    const worker = cluster.fork()
    await once(worker, 'message')
    return worker.process.pid
  },
  // A thread that owns, and ends; the process lives on.
  thread: async id => {
    const load = `const { openStore } = await import(${JSON.stringify(import.meta.resolve('sandbox-state'))})`
    const own = `await (await openStore(${JSON.stringify(process.argv[2])})).own(${JSON.stringify(id)})`
    const source = `${load}; ${own}; process.exit()`
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    await once(thread, 'exit')
    return process.pid
  },
  release: async id => {
    await owners.get(id).release()
    return process.pid
  },
  running: async id => {
    await store.transition(id, 'ready', 'running')
    return process.pid
  },
  reap: () => all(store.reap()),
}

process.on('message', async ([what, id]) => {
  try {
    process.send({ result: await calls[what](id) })
  } catch ({ code, message }) {
    process.send({ code, message })
  }
})
process.send('ready')
