import { existsSync, lstatSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

test('a root is made with all that is missing above it, for its owner only', async () => {
  const above = temporaryFolder()
  const store = await openTestStore(join(above, 'one', 'two', 'root'))
  await store.create('a')
  for (const path of ['one', 'one/two', 'one/two/root']) {
    expect(lstatSync(join(above, path)).mode & 0o777).toBe(0o700)
  }
})

test('its owner can use it, even under a umask that takes rights from the owner', async () => {
  const above = temporaryFolder()
  const store = await openTestStore(join(above, 'one', 'root'))
  const before = process.umask(0o777)
  onTestFinished(() => void process.umask(before))
  await store.create('a')
  for (const path of ['one', 'one/root']) expect(lstatSync(join(above, path)).mode & 0o777).toBe(0o700)
})

test('several stores that make one root at once all get it', async () => {
  const root = join(temporaryFolder(), 'new', 'root')
  const ids = ['a', 'b', 'c', 'd']
  const stores = await Promise.all(ids.map(() => openTestStore(root)))
  await Promise.all(ids.map((id, at) => stores[at]?.create(id)))
  expect((await all((await openTestStore(root)).list())).map(({ id }) => id)).toEqual(ids)
})

describe.each([
  ['a file', 'file'],
  ['below a file', 'file/root'],
  ['a link to itself', 'loop'],
])('a root that is %s', (_, root) => {
  const calls: Record<string, (store: SandboxStore) => Promise<unknown>> = {
    create: store => store.create('a'),
    read: store => store.read('a'),
    transition: store => store.transition('a', 'ready', 'running'),
    update: store => store.update('a', state => state),
    delete: store => store.delete('a', { force: true }),
    list: store => all(store.list()),
    history: store => all(store.history('a')),
    locks: store => all(store.locks()),
    watch: store => store.watch().next(),
    waitFor: store => store.waitFor('a', 'running'),
    check: store => all(store.check()),
    repair: store => store.repair(),
  }

  test.each(Object.entries(calls))(
    'is an error that names it in %s, and nothing is made',
    async (_, call) => {
      const folder = temporaryFolder()
      writeFileSync(join(folder, 'file'), '')
      symlinkSync('loop', join(folder, 'loop'))
      const store = await openTestStore(join(folder, root))
      const path = join(folder, root === 'loop' ? 'loop' : 'file')
      await expect(call(store)).rejects.toMatchObject({
        code: 'IO_ERROR',
        path,
        message: `${path} is not a folder`,
      })
      expect(readdirSync(folder).sort()).toEqual(['file', 'loop'])
    },
  )
})

test.skipIf(!existsSync('/proc/self'))('a root where nothing can be made is an error at once', async () => {
  const store = await openTestStore('/proc/none/root')
  await expect(store.create('a')).rejects.toMatchObject({
    code: 'IO_ERROR',
    id: 'a',
    cause: { code: 'ENOENT' },
  })
})
