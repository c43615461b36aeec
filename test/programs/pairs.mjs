// Disturbs every call of a change, and with it every later call that is then made: pairs.mjs ROOT
// Each message { what, firsts, seconds, every } is such a run: the faults of the first call and of the second; one pair in
// `every` is tried. The answer is a row for each pair. A message { again, ids } makes a change of each sandbox.
// With slow-disk.mjs preloaded changes are made in the commit thread. A forked child does not have that thread, and shares
// with its parent what wakes both after a flush in Node's pool, as own and release make it on a disk. So another process is
// killed there: pairs.mjs ROOT CHANGE, where CHANGE is a JSON array [what, id, first, second]
import { spawnSync } from 'node:child_process'
import { readdirSync, statfsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from 'sandbox-state'
import { changesOf, outcomeOf } from './changes.mjs'
import { faultsOff, inChild, planFaults, tracedCalls, wasKilled } from './faults.mjs'

const [root, one] = process.argv.slice(2)
const usesCommitThread = process.env.NODE_OPTIONS?.includes('slow-disk') === true
const isInMemory = statfsSync(root).type === 0x01021994
const canFork = what => isInMemory || !(usesCommitThread || what === 'own' || what === 'release')

/** What comes before the change that is disturbed. */
const before = {
  create: [],
  transition: ['create'],
  update: ['create'],
  delete: ['create'],
  own: ['create', 'transition'],
  release: ['create', 'transition'],
  reap: ['create', 'transition', 'orphan'],
}

/** A reap stops every orphan of a root, so each has a root of its own. */
const rootOf = (what, id) => (what === 'reap' ? join(root, id) : root)

/** An owner looks at its sandbox every second. Such calls of the owners of earlier pairs must not count. */
const disturbedFolder = (what, id) => (/own|release/.test(what) ? join(root, id) : rootOf(what, id))

/** Those that released a sandbox, or tried to. */
const owners = new Map()

let count = 0
const descriptors = () => readdirSync('/proc/self/fd').length

/** The changes that come before need not wait for the disk. */
async function prepare(what, id) {
  const store = await openStore(rootOf(what, id), { durable: false })
  const undisturbed = changesOf(store)
  const steps = { ...undisturbed, orphan: () => inChild(() => undisturbed.own(id)) }
  for (const step of before[what]) await steps[step](id)
  await store.close()
}

/** A store that does not know how slow the disk is makes its change on the spot: a forked child has no other thread. */
async function newStore(what, id) {
  const store = await openStore(rootOf(what, id), { lockTimeout: 1_000 })
  if (!usesCommitThread) return store
  const other = `slow-${id}`
  await store.create(other)
  await store.delete(other)
  return store
}

/** Makes a change, of which up to two calls are disturbed. */
async function change(what, id, first, second) {
  await prepare(what, id)
  const store = await newStore(what, id)
  const changes = changesOf(store)
  if (what === 'release') owners.set(id, changes)
  if (what === 'release') await changes.own(id)
  const openBefore = descriptors()
  planFaults(disturbedFolder(what, id), first, second)
  const answer = await outcomeOf(() => changes[what](id))
  const hits = faultsOff()
  return { ...answer, hits, leaked: descriptors() - openBefore }
}

/** Makes a change in a process of its own, which is to be killed in it. @returns whether it was */
function inProcess(what, id, first, second) {
  const script = fileURLToPath(import.meta.url)
  const args = [...process.execArgv, script, root, JSON.stringify([what, id, first, second])]
  const { status, signal } = spawnSync(process.execPath, args, { stdio: 'inherit', timeout: 20_000 })
  return wasKilled(signal === null ? status : constants.signals[signal])
}

async function disturb(what, first, second) {
  const id = `${++count}x` // No path of one begins with that of another.
  const disturbed = () => change(what, id, first, second)
  if (second?.[1] !== 'KILL') return { id, ...(await disturbed()), calls: tracedCalls() }
  return { id, killed: canFork(what) ? await inChild(disturbed) : inProcess(what, id, first, second) }
}

async function* pairs({ what, firsts, seconds, every }) {
  const { calls: undisturbed } = await disturb(what)
  let pair = 0
  for (const error of firsts) {
    for (let first = 1; first <= undisturbed.length; first++) {
      const { id: firstId, calls } = await disturb(what, [first, error])
      const text = (call, fault) => `${fault} at ${calls[call - 1]?.replaceAll(firstId, 'ID')}`
      for (let second = first + 1; second <= calls.length; second++) {
        for (const fault of seconds) {
          if (pair++ % every !== 0) continue
          const row = await disturb(what, [first, error], [second, fault])
          // A call may be missing by chance, such as the one that stamps a time.
          if (row.killed || row.hits === 2)
            yield { ...row, where: `${text(first, error)}, then ${text(second, fault)}` }
        }
      }
    }
  }
}

async function answer({ again, ids, ...run }) {
  const rows = []
  if (again === undefined) for await (const row of pairs(run)) rows.push(row)
  else for (const id of ids) rows.push(await outcomeOf(() => goOn[again](id)))
  return rows
}

if (one !== undefined) {
  await change(...JSON.parse(one))
  process.exit(0)
}
const store = await openStore(root, { durable: false })
const goOn = { ...changesOf(store), release: id => owners.get(id).release(id) }
process.on('message', async message => process.send(await answer(message)))
// All code is loaded before a pair is tried.
for (const what of Object.keys(before)) await disturb(what)
process.send('ready')
