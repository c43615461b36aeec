// Looks at a root all the time, checks, repairs and copies it, until it is told to stop: bystander.mjs ROOT PLACE NAME
// What must not be goes to PLACE/logs/NAME.
import { mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { copyStore, openStore } from 'sandbox-state'

const [root, place, name] = process.argv.slice(2)
const log = openSync(join(place, 'logs', name), 'a')
const note = line => writeSync(log, `${JSON.stringify(line)}\n`)
const store = await openStore(root, { lockTimeout: 60_000 })
const over = new AbortController()

/** What killed processes leave. Nothing of it is damage. */
const LEFTOVERS = ['LEFTOVER', 'DEAD_LOCK', 'UNFINISHED_CREATE']

async function each(items, see) {
  for await (const item of items) see(item)
}

function seeFinding(finding) {
  if (!LEFTOVERS.includes(finding.code)) note({ violation: `check: ${JSON.stringify(finding)}` })
}

function seeEntry(entry) {
  if ('error' in entry) note({ violation: `list: ${entry.error.message}` })
}

function seeEvent(event) {
  if (event.type === 'error') note({ violation: `watch: ${event.error.message}` })
}

async function copy() {
  const folder = mkdtempSync(join(place, 'copy-'))
  const target = await openStore(join(folder, 'root'), { durable: false })
  const { failed } = await copyStore(store, target)
  if (failed.length > 0) note({ violation: `copy: ${JSON.stringify(failed)}` })
  await target.close()
  rmSync(folder, { recursive: true })
}

async function histories() {
  for await (const { id } of store.list()) {
    await each(store.history(id), () => {}).catch(error => {
      if (error.code !== 'NOT_FOUND') throw error
    })
  }
}

const looks = {
  check: () => each(store.check(), seeFinding),
  repair: async () => (await store.repair()).filter(({ action }) => action !== 'busy').forEach(seeFinding),
  list: () => each(store.list(), seeEntry),
  orphans: () => each(store.orphans(), () => {}),
  locks: () => each(store.locks(), () => {}),
  histories,
  copy,
}

process.on('disconnect', () => process.exit())
process.once('message', () => over.abort())
process.send({ pid: process.pid })
const watching = each(store.watch({ signal: over.signal }), seeEvent).catch(error => {
  if (!over.signal.aborted) note({ violation: `watch: ${error.stack}` })
})
while (!over.signal.aborted) {
  for (const [what, look] of Object.entries(looks)) {
    try {
      await look()
      note({ did: what })
    } catch (error) {
      note({ violation: `${what}: ${error.stack}` })
    }
    await sleep(20)
  }
}
await watching
await store.close()
process.disconnect()
