import { once } from 'node:events'
import { expect, test } from 'vitest'
import { all } from '../support/all.js'
import { effort } from '../support/effort.js'
import { startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { SLOW } from '../support/strace.js'
import { expectUsable, faultsOf, namesIn, stateOf } from './sandbox.js'

// A process ends inside a change, in each way in which a program can end: the next one works at once.

const WAYS = [
  { way: 'exit', ended: [0, null] },
  { way: 'throw', ended: [1, null] },
  { way: 'abort', ended: [null, 'SIGABRT'] },
  { way: 'use all memory', ended: [null, 'SIGABRT'] },
  { way: 'be killed by SIGTERM', ended: [null, 'SIGTERM'] },
  // The process lives on.
  { way: 'terminate its worker', ended: ['terminated'] },
]

const disk = filesystems.find(({ name }) => name !== 'memory') ?? filesystems[0]

/** On a slow disk the main thread ends while another one makes the change. */
const PLACES = [
  ...filesystems.map(one => ({ ...one, place: 'rules', env: {} })),
  ...['rules', 'flush'].map(place => ({
    ...disk,
    name: 'slow disk',
    place,
    env: { ...SLOW, SLOW_DISK_MS: '50' },
  })),
]

const CASES = PLACES.flatMap(place => WAYS.map(way => ({ ...place, ...way })))
  // While a worker waits for a flush, Node's pool flushes.
  .filter(({ way, place }) => place !== 'flush' || way !== 'terminate its worker')

test.each(CASES.filter((_, i) => i % effort(5, 1) === 0))(
  'a process may $way inside a change, in its $place, on $name: old or new, and usable at once',
  async ({ folder, place, env, way, ended }) => {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
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
    await expectUsable(store, root, 'a', way)
    expect(await all(store.check())).toEqual([])
  },
)
