// Disturbs every call of a change, and with it every later call that is then made: pairs.mjs ROOT
// Each message { what, firsts, seconds, every } is such a run: what becomes of the first call, of the second, and of how
// many pairs one is tried. The answer is a row for each pair. A message { again, ids } makes a change of each sandbox.
import { readdirSync } from 'node:fs'
import { openStore } from 'sandbox-state'
import { changesOf, outcomeOf } from './changes.mjs'
import { faultsOff, inChild, planFaults, tracedCalls } from './faults.mjs'

const [root] = process.argv.slice(2)
/** What comes before a change need not wait for the disk. */
const undisturbed = changesOf(await openStore(root, { durable: false }))

/** What a sandbox is led through before the change that is disturbed. */
const before = {
  create: [],
  transition: ['create'],
  update: ['create'],
  delete: ['create'],
  own: ['create', 'transition'],
  release: ['create', 'transition'],
}

/** Those that released a sandbox, or tried to. */
const owners = new Map()

let count = 0
const descriptors = () => readdirSync('/proc/self/fd').length

/** Makes a change, of which up to two calls are disturbed. */
async function disturb(what, first, second) {
  const id = `x${++count}`
  const change = async () => {
    for (const step of before[what]) await undisturbed[step](id)
    // A store that does not know how slow the disk is makes its change on the spot: a forked child has no other thread.
    const changes = changesOf(await openStore(root, { lockTimeout: 1_000 }))
    if (what === 'release') owners.set(id, changes)
    if (what === 'release') await changes.own(id)
    const openBefore = descriptors()
    planFaults(root, first, second)
    const answer = await outcomeOf(() => changes[what](id))
    const hits = faultsOff()
    return { ...answer, hits, leaked: descriptors() - openBefore }
  }
  const row = second?.[1] === 'KILL' ? { killed: await inChild(change) } : await change()
  const calls = tracedCalls()
  const text = fault => fault && `${fault[1]} at ${calls[fault[0] - 1]?.replace(`/${id}`, '.')}`
  return { ...row, id, calls: calls.length, where: `${text(first)}, then ${text(second)}` }
}

async function* pairs({ what, firsts, seconds, every }) {
  const { calls } = await disturb(what)
  let pair = 0
  for (const error of firsts) {
    for (let first = 1; first <= calls; first++) {
      const { calls: all } = await disturb(what, [first, error])
      for (let second = first + 1; second <= all; second++) {
        for (const fault of seconds) {
          if (pair++ % every !== 0) continue
          const row = await disturb(what, [first, error], [second, fault])
          // A call may be missing by chance, such as the one that stamps a time.
          if (row.killed || row.hits === 2) yield row
        }
      }
    }
  }
}

async function answer({ again, ids, ...run }) {
  const rows = []
  if (again === undefined) for await (const row of pairs(run)) rows.push(row)
  else for (const id of ids) rows.push(await outcomeOf(() => (owners.get(id) ?? undisturbed)[again](id)))
  return rows
}

process.on('message', async message => process.send(await answer(message)))
// All code is loaded before a pair is tried.
for (const what of Object.keys(before)) await disturb(what)
process.send('ready')
