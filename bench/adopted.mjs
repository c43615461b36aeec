// How much of a core a supervisor uses while it waits for adopted VMs with `own(id, { wait: true })`:
//
//     npm run build && node bench/adopted.mjs [COUNT] [SECONDS] [ROOT]
//
// Another process owns COUNT sandboxes (1,000 by default), in memory unless a ROOT is given, such as a new one on etcd. This one
// waits for them for SECONDS (10), then kills the other.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openStore } from '../dist/index.js'

const [count = '1000', seconds = '10', chosenRoot] = process.argv.slice(2)
const ids = Array.from({ length: Number(count) }, (_, i) => `vm-${i}`)
if (process.send === undefined) await adopt()
else await ownAll()

async function ownAll() {
  const store = await openStore(chosenRoot)
  for (const id of ids) {
    await store.create(id)
    await store.own(id)
  }
  process.on('message', () => {}) // On etcd, what is owned does not keep the process from ending.
  process.send('owned')
}

async function adopt() {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sandbox-state-bench-'))
  const root = chosenRoot ?? folder
  const owner = fork(fileURLToPath(import.meta.url), [count, seconds, root])
  try {
    const [message] = await Promise.race([once(owner, 'message'), once(owner, 'exit')])
    if (message !== 'owned') throw new Error('the owner of the sandboxes ended too early')
    const store = await openStore(root)
    const owned = ids.map(id => store.own(id, { wait: true }))
    await sleep(Math.min(Number(seconds), 3) * 1_000) // By then all of them wait.
    const before = process.cpuUsage()
    const start = performance.now()
    await sleep(Number(seconds) * 1_000)
    const { user, system } = process.cpuUsage(before)
    const share = (user + system) / 1_000 / (performance.now() - start)
    console.log(`${count} waits: ${(share * 100).toFixed(1)} % of a core`)
    owner.kill('SIGKILL')
    await Promise.all(owned)
    await store.close()
  } finally {
    owner.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
}
