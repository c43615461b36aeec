// Owns sandbox a on etcd, with a lease of some seconds, until a message: etcd-owner.mjs ROOT SECONDS
// A number of ms blocks its event loop for that long; `release` releases the sandbox, `end` ends it without a release.
// Its exit status is 1 when it has lost the sandbox.
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdBackend } from '../../dist/etcd/backend.js'
import { SandboxStore } from '../../dist/store.js'

const [root, seconds] = process.argv.slice(2)
const options = { lockTimeout: 10_000, history: true, lease: Number(seconds) }
const store = new SandboxStore(new EtcdBackend(root, undefined, options))
const owner = await store.own('a')
const { signal } = owner
signal.addEventListener('abort', () => (process.exitCode = 1))

process.on('message', async what => {
  if (what === 'release') await owner.release()
  if (what === 'release' || what === 'end') return process.disconnect()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, what)
  const asked = owner.signal.aborted
  await sleep(0)
  process.send({ asked, heard: signal.aborted, message: signal.reason?.message })
})
process.send('owned')
