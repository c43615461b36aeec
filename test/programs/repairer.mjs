// Waits for the word, then repairs a root; is killed before its Nth call that could change something: repairer.mjs ROOT [N]
import { once } from 'node:events'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { openStore } from 'sandbox-state'
import { libc } from '../../dist/file/posix/libc.js'

const [root, n] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 5000 })
await store.repair({ dryRun: true }) // Loads what a repair needs.
process.send('ready')
await once(process, 'message')

let calls = 0
const ofNode = Object.keys(fs).filter(
  name => /Sync$|^fsync$/.test(name) && !/^(exists|read|lstat|stat|fstat)/.test(name),
)
for (const [functions, names] of n === undefined
  ? []
  : [
      [fs, ofNode],
      [libc, Object.keys(libc)],
    ]) {
  for (const name of names) {
    const original = functions[name]
    functions[name] = (...args) => {
      if (++calls === Number(n)) process.kill(process.pid, 'SIGKILL')
      return original(...args)
    }
  }
}
syncBuiltinESMExports()

const repairs = await store.repair()
await store.close()
process.send(repairs, () => process.disconnect())
