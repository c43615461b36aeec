import { chownSync, linkSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const SOMEBODY = 4711

/** Root opens a store in which a folder is another user's. */
async function setUp(on: string) {
  const root = temporaryFolder(on)
  const folder = join(root, 'a')
  mkdirSync(folder, { mode: 0o700 })
  chownSync(folder, SOMEBODY, SOMEBODY)
  const store = await openTestStore(root)
  const owners = () =>
    Object.fromEntries(readdirSync(folder).map(name => [name, lstatSync(join(folder, name)).uid]))
  return { folder, store, owners }
}

const theirs = { lock: SOMEBODY, 'state.json': SOMEBODY, 'history.jsonl': SOMEBODY }

describe.runIf(process.geteuid?.() === 0).each(filesystems)('root, on $name', ({ folder: on }) => {
  test("makes a sandbox in a user's folder that is all that user's", async () => {
    const { store, owners } = await setUp(on)
    await store.create('a')
    expect(owners()).toEqual(theirs)
  })

  test("changes a user's sandbox, which stays that user's", async () => {
    const { folder, store, owners } = await setUp(on)
    writeFileSync(join(folder, 'state.json'), '{"state":"ready"}')
    chownSync(join(folder, 'state.json'), SOMEBODY, SOMEBODY)
    await store.transition('a', 'ready', 'running')
    expect(owners()).toEqual(theirs)
  })

  test('gives away no file that a user has linked to the name of the lock', async () => {
    const { folder, store } = await setUp(on)
    const roots = join(folder, '..', 'roots')
    writeFileSync(roots, '')
    linkSync(roots, join(folder, 'lock'))
    await store.create('a')
    expect(lstatSync(roots).uid).toBe(0)
  })
})
