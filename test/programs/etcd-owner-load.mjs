// Owns sandbox a on etcd again and again, until it is killed: etcd-owner-load.mjs ROOT SECONDS LOG
// While it is the owner it acts from time to time: it writes a line into a log that all share, as one owner after another.
// Told to stop, it stops itself with SIGSTOP: not between a look at its signal and the act.
import { randomUUID } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdBackend } from '../../dist/etcd/backend.js'
import { SandboxStore } from '../../dist/store.js'

const [root, seconds, log] = process.argv.slice(2)
const options = { lockTimeout: 30_000, history: true, lease: Number(seconds) }
const store = new SandboxStore(new EtcdBackend(root, undefined, options))
process.on('message', () => process.kill(process.pid, 'SIGSTOP'))
process.send('ready')
for (;;) {
  try {
    const owner = await store.own('a', { wait: true })
    process.send('owner')
    const tenure = randomUUID()
    for (let acts = Math.random() * 100; acts > 0 && !owner.signal.aborted; acts--) {
      appendFileSync(log, `${tenure}\n`)
      await sleep(50)
    }
    if (!owner.signal.aborted) await owner.release()
  } catch (error) {
    if (!['IO_ERROR', 'OUTCOME_UNKNOWN'].includes(error.code)) throw error
  }
}
