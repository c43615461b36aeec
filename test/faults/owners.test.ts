import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { runLoad } from './load.js'
import { faultsAfter } from './load-faults.js'
import { noOtherHost } from './other-host.js'

// Processes own, hand over, change, reap, delete and make a few sandboxes, while one after another is killed and replaced.
// Every second one is in another pid namespace and has another host name.

if (noOtherHost !== undefined) console.warn(`all owners are in one pid namespace: ${noOtherHost}`)

const KILLS = effort(4, 60, 1000)

const [{ folder } = { folder: undefined }] = filesystems

describe.skipIf(process.platform !== 'linux')('owners that are killed', () => {
  test('are never two at once, nor reaped while they live, and all who died are reaped', {
    timeout: 60_000 + KILLS * 4_000,
  }, async () => {
    const root = temporaryFolder(folder)
    const load = await runLoad(root, temporaryFolder(), {
      contenders: effort(3, 16),
      ids: ['vm-0', 'vm-1', 'vm-2', 'vm-3'],
      rest: 4,
      kills: KILLS,
      pause: 50,
      otherHost: noOtherHost === undefined,
    })
    console.log(`${load.kills} kills: ${JSON.stringify(load.did)}`)
    expect(await faultsAfter(root, load)).toEqual([])
    for (const what of effort(['owned'], ['owned', 'handed over', 'deleted'])) {
      expect(load.did[what] ?? 0, what).toBeGreaterThan(0)
    }
  })
})
