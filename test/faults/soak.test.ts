import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { effort, long } from '../support/effort.js'
import { filesystems } from '../support/root.js'
import { type Load, type LoadOptions, runLoad } from './load.js'
import { faultsAfter } from './load-faults.js'
import { noOtherHost } from './other-host.js'

// Everything at once, in rounds: changes alone and in batches, own, release, reap and run, deletes and creates, while
// processes are killed, and stopped for longer than proper-lockfile waits before it takes a lock over; beside them a
// program that knows only proper-lockfile, and others that check, repair, copy, watch and list.
// `npm run soak` (soak.mjs) does so for an hour with 32 processes, and prints its progress.

const MINUTES = Number(process.env.SANDBOX_STATE_SOAK_MINUTES ?? 0)
const OPTIONS: LoadOptions = {
  contenders: effort(0, 8, 28),
  ids: ['count-0', 'count-1', 'vm-0', 'vm-1', 'vm-2', 'vm-3', 'run-0', 'run-1'].concat(
    [0, 1, 2, 3].flatMap(n => [`walk-${n}`, `phoenix-${n}`]),
  ),
  idsEach: 6,
  rest: 20,
  kills: Number.POSITIVE_INFINITY,
  // Long enough to stop processes for 11 s, short enough to keep what a round did in memory.
  lasts: effort(0, 20_000, 90_000),
  pause: 700,
  stopped: { atOnce: 2, ms: 11_000 },
  otherHost: noOtherHost === undefined,
  stranger: true,
  bystanders: effort(0, 1, 3),
}

if (noOtherHost !== undefined) console.warn(`all processes are in one pid namespace: ${noOtherHost}`)

describe.runIf(long && process.platform === 'linux')('everything at once', () => {
  test('keeps every promise', { timeout: (MINUTES + 10) * 60_000 }, async () => {
    const end = performance.now() + MINUTES * 60_000
    const total = new Map<string, number>()
    for (let nth = 1; nth === 1 || performance.now() < end; nth++) {
      const { name, folder } = filesystems[nth % filesystems.length] ?? { name: 'disk', folder: tmpdir() }
      const counts = countsOf(await runRound(`round ${nth}, on ${name}`, folder, end))
      for (const [what, count] of counts) total.set(what, (total.get(what) ?? 0) + count)
      console.log(`round ${nth}, on ${name}: ${words(counts)}`)
    }
    console.log(`in all: ${words(total)}`)
    for (const what of ['kills', 'stops', 'calls', 'owned', 'check']) {
      expect(total.get(what) ?? 0, what).toBeGreaterThan(0)
    }
  })
})

/** @throws with what is wrong, and where what the processes left is kept */
async function runRound(name: string, folder: string, end: number): Promise<Load> {
  const [root, place] = [folder, tmpdir()].map(parent => mkdtempSync(join(parent, 'sandbox-state-soak-')))
  if (root === undefined || place === undefined) throw new Error('no folder was made')
  const onProgress = (kills: number) => {
    const left = Math.max(0, Math.round((end - performance.now()) / 60_000))
    console.error(`${name}: ${kills} kills, ${left} min to go`)
  }
  try {
    const load = await runLoad(root, place, { ...OPTIONS, onProgress })
    const faults = await faultsAfter(root, load)
    if (faults.length > 0) throw new Error(faults.join('\n'))
    for (const made of [root, place]) rmSync(made, { recursive: true })
    return load
  } catch (error) {
    throw new Error(`${name}: kept are the root ${root} and the logs in ${place}\n${error}`)
  }
}

function countsOf(load: Load): Map<string, number> {
  const calls = [...load.operations.values()].flat().length
  return new Map(
    Object.entries({ kills: load.kills, stops: load.stops, calls, stranger: load.byStranger, ...load.did }),
  )
}

function words(counts: ReadonlyMap<string, number>): string {
  return Array.from(counts, ([what, count]) => `${what} ${count}`).join(', ')
}
