import { describe, expect, test } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// A state may take up to 1 MiB.

describe.each(filesystems)('a state above 1 MiB among concurrent changes, on $name', ({ folder }) => {
  test.each(['create', 'update'])('is a typed error of that %s, and fails nothing else', async call => {
    const root = temporaryFolder(folder)
    const child = startProgram('big-one', [root, call])
    const refused = { name: 'StateStoreError', code: 'INVALID_STATE' }
    expect(await nextMessage(child)).toEqual({
      rounds: [
        [refused, 'ok', 'ok', 'ok'],
        ['ok', refused, 'ok', 'ok', refused, 'ok'],
        [refused, 'ok'],
      ],
      uncaught: [],
    })
    const store = await openTestStore(root, { lockTimeout: 0 })
    // Its locks are free.
    const next = call === 'create' ? store.create('big') : store.update('big', state => state)
    expect(await next).toMatchObject({ state: 'ready' })
  })
})
