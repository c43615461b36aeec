// A supervisor that may be killed at any instant, and finds its sandboxes again when it is started anew.
//
//     node examples/supervisor.mjs FOLDER [COUNT]
//
// It keeps COUNT sandboxes (2 by default), here processes that sleep. Kill it (kill -9), let a sandbox die meanwhile, start
// it again: what still runs is taken over, what died is stopped. SIGTERM ends the sandboxes, too.
// The state says what a sandbox should be doing; which process it is, the supervisor keeps in a file of its own. For Linux:
// it tells a process from a later one of the same pid by /proc.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from 'sandbox-state'

const [folder, count = '2'] = process.argv.slice(2)
if (folder === undefined) {
  console.error('usage: node examples/supervisor.mjs FOLDER [COUNT]')
  process.exit(2)
}
// It begins when it is told to. Told nothing, it ends: a supervisor killed before it noted the process leaves no stray.
const SANDBOX = `
  process.stdin.once('data', () => setInterval(() => {}, 1000))
  process.stdin.resume()
`
const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
const processes = join(folder, 'processes')
mkdirSync(processes, { recursive: true })
const store = await openStore(join(folder, 'states'))

await findAgain()
for (let i = 1; i <= Number(count); i++) await keep(`sandbox-${i}`)
console.log('all sandboxes run')

let ending = false
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => (ending = true))
while (!ending) {
  await noticeDeaths()
  await sleep(100)
}
await endAll()
await store.close()

/** What an earlier supervisor left. */
async function findAgain() {
  for await (const { id, state, error } of store.list()) {
    if (error !== undefined) console.log(`${id}: left alone, ${error.code}`)
    else if (isAlive(id)) {
      // It was killed after it had started the process, and before it could say so.
      if (state.state === 'ready' || state.state === 'stopped') {
        await store.transition(id, state.state, 'running')
      }
      console.log(`${id}: found again, process ${recordOf(id).pid} still runs`)
    } else if (state.state === 'running' || state.state === 'paused') {
      await store.transition(id, state.state, 'stopped')
      console.log(`${id}: its process died meanwhile, stopped`)
    }
  }
}

/** Makes a sandbox, or starts one that stands still. */
async function keep(id) {
  const current = await stateOf(id)
  if (current === 'running') return
  if (current === undefined) await store.create(id)
  const from = current ?? 'ready'
  if (from !== 'ready' && from !== 'stopped') return
  const child = spawn(process.execPath, ['-e', SANDBOX], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.unref()
  note(id, { pid: child.pid, start: startTime(child.pid), boot })
  child.stdin.on('error', () => {}) // It has died already, which is noticed like any death.
  child.stdin.end('go')
  await store.transition(id, from, 'running')
  console.log(`${id}: process ${child.pid} started`)
}

async function noticeDeaths() {
  for await (const { id, state } of withProcess()) {
    if (isAlive(id)) continue
    await store.transition(id, state.state, 'stopped')
    console.log(`${id}: its process died, stopped`)
  }
}

async function endAll() {
  for await (const { id, state } of withProcess()) {
    if (isAlive(id)) process.kill(recordOf(id).pid, 'SIGKILL')
    await store.transition(id, state.state, 'stopped')
    await store.delete(id)
    rmSync(fileOf(id), { force: true })
    console.log(`${id}: ended`)
  }
}

/** Those that should have one. */
async function* withProcess() {
  for await (const entry of store.list()) {
    if (entry.state?.state === 'running' || entry.state?.state === 'paused') yield entry
  }
}

async function stateOf(id) {
  try {
    return (await store.read(id)).state
  } catch (error) {
    if (error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

/** A pid is given to another process one day; with its start time and the boot it names one process for good. */
function isAlive(id) {
  const record = recordOf(id)
  // Without a start time it had died before it was noted.
  return record?.start !== undefined && record.boot === boot && startTime(record.pid) === record.start
}

/** Whole or not at all, as the states themselves. */
function note(id, record) {
  writeFileSync(`${fileOf(id)}.new`, JSON.stringify(record))
  renameSync(`${fileOf(id)}.new`, fileOf(id))
}

function recordOf(id) {
  try {
    return JSON.parse(readFileSync(fileOf(id), 'utf8'))
  } catch {
    return undefined
  }
}

function fileOf(id) {
  return join(processes, `${id}.json`)
}

/** In ticks since the boot, from /proc/PID/stat; undefined when there is no such process, or only its remains. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
