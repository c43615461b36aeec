// Two services share a root without any other channel: each names the state that it expects, and the store decides.
//
//     node examples/two-services.mjs ROOT scheduler COUNT     makes COUNT sandboxes and starts them
//     node examples/two-services.mjs ROOT reaper COUNT        stops and deletes COUNT running sandboxes
//
// Start any number of each on one root. Two reapers that want the same sandbox both request running -> stopped. One
// succeeds; the other gets STATE_MISMATCH or NOT_FOUND, and tries the next sandbox.
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from 'sandbox-state'

const [root, role, count] = process.argv.slice(2)
const roles = { scheduler: schedule, reaper: reap }
if (root === undefined || roles[role] === undefined || !(Number(count) > 0)) {
  console.error('usage: node examples/two-services.mjs ROOT scheduler|reaper COUNT')
  process.exit(2)
}

const store = await openStore(root)
await roles[role](Number(count))
await store.close()

async function schedule(wanted) {
  for (let n = 1; n <= wanted; n++) {
    const id = `task-${process.pid}-${n}`
    await store.create(id)
    await store.transition(id, 'ready', 'running')
  }
  console.log(`scheduler: started ${wanted}`)
}

async function reap(wanted) {
  let [reaped, tooLate] = [0, 0]
  // A reaper may have been killed between its stop and its delete.
  for await (const { id, error } of store.list({ state: 'stopped' }))
    if (error === undefined) await remove(id)
  while (reaped < wanted) {
    for await (const { id, error } of store.list({ state: 'running' })) {
      if (error !== undefined || reaped === wanted) continue
      if (!(await isMine(id))) tooLate++
      else {
        await remove(id)
        reaped++
      }
    }
    if (reaped < wanted) await sleep(10)
  }
  console.log(`reaper: stopped and deleted ${reaped}, came too late for ${tooLate}`)
}

/** The reaper that makes the transition also deletes the sandbox. */
async function isMine(id) {
  try {
    await store.transition(id, 'running', 'stopped')
    return true
  } catch (error) {
    if (error.code === 'STATE_MISMATCH' || error.code === 'NOT_FOUND') return false
    throw error
  }
}

/** Another reaper may have deleted it first. */
async function remove(id) {
  try {
    await store.delete(id)
  } catch (error) {
    if (error.code !== 'NOT_FOUND') throw error
  }
}
