import { describe, expect, test } from 'vitest'
import { effort, places } from '../support/effort.js'
import { noLibcFaults, startWithFaults } from '../support/libc-faults.js'
import { temporaryFolder } from '../support/root.js'
import { expectNothingLost } from './random-load.js'

// Calls of the C library fail at random, or read and write only half, in two processes that make thousands of changes.

if (noLibcFaults !== undefined) console.warn(`no calls fail at random: ${noLibcFaults}`)

/** How many changes: on a disk each takes a hundred times as long. */
const [inMemory, onDisk] = [effort(1_000, 20_000, 400_000), effort(100, 2_000, 40_000)]

/** How many calls in a million fail; a change makes about thirty. */
const RATE = 20_000

describe.skipIf(noLibcFaults !== undefined).each(places)(
  'random failures of libc, on $name',
  ({ name, folder }) => {
    test('lose no change that was acknowledged, and make none that failed', {
      timeout: 3_600_000,
    }, async () => {
      const work = { changes: name === 'memory' ? inMemory : onDisk, rate: RATE }
      const start = (args: readonly string[]) => startWithFaults('random-changes', args)
      const { changes, acknowledged, failed, faults } = await expectNothingLost(
        temporaryFolder(folder),
        start,
        work,
      )
      console.log(
        `${name}: ${changes} changes, ${acknowledged} acknowledged, ${failed} failed; ${faults} calls disturbed`,
      )
      expect(acknowledged).toBeGreaterThan(changes / 20)
      expect(failed).toBeGreaterThan(changes / 20)
      expect(faults).toBeGreaterThan(changes / 5)
    })
  },
)
