import { describe, expect, test } from 'vitest'
import { effort, long } from '../support/effort.js'
import { kindsHere } from './image.js'
import { type Cut, Recording } from './recording.js'
import type { Work } from './workers.js'

/** How often the power is cut on each filesystem. */
const CUTS = Number(process.env.POWER_CUTS || effort(10, 80, 2_000))
/** How many cuts are made in one recording. */
const CUTS_IN_ONE = 100
/** Decides which writes survive. */
const SEED = Number(process.env.POWER_CUT_SEED || Date.now() % 1_000_000)
/** Where the soak keeps what is needed to look into a fault. */
const KEEP_IN = effort(undefined, undefined, `/var/tmp/sandbox-state-power-cuts-${SEED}`)
const LIMIT = 60_000 + CUTS * 5_000

/** Changes one at a time and sixteen at once, in processes of their own. */
const WORK: Work = { workers: [1, 16] }

const all = kindsHere({ recorded: true })
const kinds = long ? all : all.slice(0, 1)
if (kinds.length === 0)
  test.skip('the power is cut (skipped: no filesystem can be recorded here, for the reasons printed above)')

describe.each(kinds)('the power is cut between the writes to an $name', kind => {
  test('every acknowledged change is there, whole, and the store works on', { timeout: LIMIT }, async () => {
    const sum = { recordings: 0, acknowledged: 0, writes: 0, flushes: 0, cuts: 0 }
    while (sum.cuts < CUTS) {
      const count = Math.min(CUTS_IN_ONE, CUTS - sum.cuts)
      const recording = await Recording.make(kind, WORK, 10_000 + count * 200)
      let last: Cut | undefined
      for await (const cut of recording.cuts(count, SEED + sum.recordings, KEEP_IN)) {
        expect(cut.faults, `${cut.name}${KEEP_IN === undefined ? '' : `, kept in ${KEEP_IN}`}`).toEqual([])
        last = cut
      }
      recording.remove()
      sum.cuts += count
      sum.recordings++
      sum.writes += recording.writes
      sum.flushes += recording.flushes
      sum.acknowledged += last?.acknowledged ?? 0
      if (KEEP_IN !== undefined) console.log(kind.name, JSON.stringify(sum))
    }
    expect(sum.flushes).toBeGreaterThan(10)
    expect(sum.acknowledged).toBeGreaterThan(10)
  })

  /** That the test above would see a loss: what it looks for is in fact lost. */
  describe.runIf(long)('and the loss is seen', () => {
    /** At the first cut that loses anything. */
    async function lossOf(work: Work): Promise<string> {
      const recording = await Recording.make(kind, work, 10_000)
      for await (const { faults } of recording.cuts(200, SEED))
        if (faults.length > 0) return faults.join('\n')
      return 'none'
    }

    test.each<[string, Work, RegExp]>([
      ['the flush of the file', { workers: [1], without: ['file'] }, /check: (EMPTY|NUL|CORRUPT)_STATE/],
      [
        'the flush of the folder',
        { workers: [1], without: ['folder'] },
        /, acknowledged was|shared (was created|counts)/,
      ],
      ['the flush of the owner file', { workers: [1], without: ['owner'] }, /, acknowledged was .* owned/],
      ['the flushes of many at once', { workers: [16], without: ['aio'] }, /_STATE|, acknowledged was/],
      ['a store that is durable', { workers: [1], durable: false }, /_STATE|, acknowledged was/],
    ])('without %s', { timeout: LIMIT }, async (_without, work, loss) => {
      expect(await lossOf(work)).toMatch(loss)
    })
  })
})
