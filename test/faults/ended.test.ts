import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { effort } from '../support/effort.js'
import { startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { expectWalk, faultsOf, namesIn, stateOf, TIDY } from './sandbox.js'

// A process ends inside a change, in any way that a program has to end: the next one works at once.

const WAYS = [
  { way: 'exit', ended: [0, null] },
  { way: 'throw', ended: [1, null] },
  { way: 'abort', ended: [null, 'SIGABRT'] },
  { way: 'use all memory', ended: [null, 'SIGABRT'] },
  { way: 'be killed by SIGTERM', ended: [null, 'SIGTERM'] },
  // The process lives on.
  { way: 'terminate its worker', ended: ['terminated'] },
]

const preloaded = fileURLToPath(new URL('../programs/slow-disk.mjs', import.meta.url))
const SLOW = { NODE_OPTIONS: `--import=${preloaded}`, SLOW_DISK_MS: '50' }

const disk = filesystems.find(({ name }) => name !== 'memory') ?? filesystems[0]

/** On a slow disk the main thread ends while another one makes the change. */
const PLACES = [
  ...filesystems.map(one => ({ ...one, place: 'rules', env: {} })),
  { ...disk, name: 'slow disk', place: 'rules', env: SLOW },
  { ...disk, name: 'slow disk', place: 'flush', env: SLOW },
]

const CASES = PLACES.flatMap(place => WAYS.map(way => ({ ...place, ...way })))
  // While a worker waits for a flush, Node's pool flushes.
  .filter(({ way, place }) => place !== 'flush' || way !== 'terminate its worker')

test.each(CASES.filter((_, i) => i % effort(5, 1) === 0))(
  'a process may $way inside a change, in its $place, on $name: old or new, and usable at once',
  async ({ folder, place, env, way, ended }) => {
    const root = temporaryFolder(folder)
    const store = await openStore(root, { durable: false, lockTimeout: 0 })
    onTestFinished(() => store.close())
    await store.create('a')
    const child = startProgram('ender', [root, way, place], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { ...process.env, ...env },
      execArgv: way === 'use all memory' ? ['--max-old-space-size=30'] : [],
    })
    const end = await (way === 'terminate its worker' ? once(child, 'message') : once(child, 'exit'))
    expect(way === 'terminate its worker' ? end.slice(0, 1) : end).toEqual(ended)
    const state = await stateOf(store, 'a')
    expect([0, 1]).toContain(state?.blockIndex)
    const findings = await all(store.check())
    expect(findings.map(({ code }) => code).sort()).toEqual(faultsOf(namesIn(root, 'a')).sort())
    await store.update('a', current => ({ ...current, blockIndex: 7 }))
    expect(namesIn(root, 'a')).toEqual(TIDY)
    expectWalk(root, 'a', way)
    expect(await all(store.check())).toEqual([])
  },
)
