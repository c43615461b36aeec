import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// A program writes a state in place, as Kata does under its lock (O_TRUNC, then write), and leaves hardly a gap.

describe.each(filesystems)('beside a dense writer in place, on $name', ({ folder }) => {
  test('a read never says that the state is corrupt, nor does a list', async () => {
    const root = temporaryFolder(folder)
    const store = await openStore(root)
    onTestFinished(() => store.close())
    await store.create('a', { cgroupPath: '/kata/a' })
    await nextMessage(startProgram('writer-in-place', [root, 'a']))
    for (let i = 0; i < 200; i++) {
      expect(await store.read('a').catch(String)).toMatchObject({ state: 'ready', cgroupPath: '/kata/a' })
      if (i % 10 !== 0) continue
      expect(await all(store.list())).toMatchObject([{ id: 'a', state: { state: 'ready' } }])
    }
  })
})
