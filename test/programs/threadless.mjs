// Changes sandboxes, all at once, where no thread can start: threadless.mjs LIBRARY ROOT HOW
// HOW is what keeps them from it, of `ways` below. Reports each outcome.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import workerThreads from 'node:worker_threads'

const [library, root, how] = process.argv.slice(2)
const { Worker } = workerThreads

const ways = {
  /** A bundle holds the code of the program, and no file for the thread. */
  bundled() {
    workerThreads.Worker = class extends Worker {
      constructor(file, options) {
        super(options?.eval ? file : new URL('./not-in-the-bundle.js', import.meta.url), options)
      }
    }
    syncBuiltinESMExports()
  },
  folderless() {
    process.chdir(mkdtempSync(join(tmpdir(), 'sandbox-state-test-')))
    rmdirSync(process.cwd())
  },
  /** What NODE_OPTIONS requires, in each thread anew. */
  unrequired: () => rmSync('preloaded.cjs'),
  /** With --preserve-symlinks, which a thread may not be given. */
  linked() {},
  limited() {
    const { status } = spawnSync('prlimit', ['--pid', String(process.pid), '--nproc=1:'])
    if (status !== 0) throw new Error('prlimit failed')
  },
}

if (how === 'bundled') ways.bundled()
const { openStore } = await import(library)
if (how !== 'bundled') ways[how]()

const store = await openStore(root)
const ids = ['a', 'b', 'c', 'd', 'e', 'f']
const outcome = call =>
  call.then(
    state => state.blockIndex,
    error => ({ code: error.code, message: error.message }),
  )
const increment = state => ({ ...state, blockIndex: state.blockIndex + 1 })
const outcomes = []
for (let round = 0; round < 3; round++) {
  outcomes.push(
    await Promise.all(ids.map(id => outcome(round === 0 ? store.create(id) : store.update(id, increment)))),
  )
}
await store.close()
process.send(outcomes, () => process.disconnect())
