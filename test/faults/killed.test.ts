import { describe, expect, test } from 'vitest'
import { effort, places } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { runLoad } from './load.js'
import { faultsAfter } from './load-faults.js'

// Processes, and one that knows only proper-lockfile, change the same few sandboxes, while one after another is killed,
// half of the time inside a change. `npm run soak` does so for long, beside all that the store can do.

const KILLS = effort(8, 40)

describe.skipIf(process.platform !== 'linux').each(places)(
  'processes that are killed, on $name',
  ({ name, folder }) => {
    test('lose nothing acknowledged, no two are inside, and each history is a walk', {
      timeout: 60_000 + KILLS * 4_000,
    }, async () => {
      const root = temporaryFolder(folder)
      const load = await runLoad(root, temporaryFolder(), {
        contenders: effort(3, 6),
        ids: ['count-0', 'count-1', 'walk-0', 'walk-1', 'phoenix-0'],
        kills: KILLS,
        pause: 20,
        stranger: true,
      })
      const calls = [...load.operations.values()].reduce((sum, list) => sum + list.length, 0)
      console.log(
        `${name}: ${load.kills} kills, ${load.killedHolders} of them inside a change; ${calls} calls`,
      )
      expect(await faultsAfter(root, load)).toEqual([])
      expect(load.kills).toBe(KILLS)
      expect(load.killedHolders).toBeGreaterThanOrEqual(effort(0, 1))
      expect(load.byStranger).toBeGreaterThan(0)
      expect(calls).toBeGreaterThan(KILLS)
    })
  },
)
