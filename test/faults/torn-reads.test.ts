import { StateStoreError } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// A program writes a state in place, as Kata does under its lock (O_TRUNC, then write), with hardly a gap.

describe.each(filesystems)('beside a dense writer in place, on $name', ({ folder }) => {
  test('a read never says that the state is corrupt, nor does a list', async () => {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('a', { cgroupPath: '/kata/a' })
    await nextMessage(startProgram('writer-in-place', [root, 'a']))
    let whole = 0
    const expectWhole = (state: unknown) => {
      // A writer that does not run for 0.2 s is named.
      if (state instanceof StateStoreError)
        expect(state.message).toContain('it may be half written: it is locked by')
      else {
        whole++
        expect(state).toMatchObject({ state: 'ready', cgroupPath: '/kata/a' })
      }
    }
    for (let i = 0; i < 200; i++) {
      expectWhole(await store.read('a').catch((error: unknown) => error))
      if (i % 10 !== 0) continue
      for (const entry of await all(store.list())) expectWhole('error' in entry ? entry.error : entry.state)
    }
    // More than half of the time the file is torn.
    expect(whole).toBeGreaterThan(160)
  })
})
