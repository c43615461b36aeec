import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { temporaryFolder } from '../support/root.js'

async function open(root: string) {
  const store = await openStore(root)
  onTestFinished(() => store.close())
  return store
}

test('a root is made with all that is missing above it, for its owner only', async () => {
  const above = temporaryFolder()
  const store = await open(join(above, 'one', 'two', 'root'))
  await store.create('a')
  for (const path of ['one', 'one/two', 'one/two/root']) {
    expect(lstatSync(join(above, path)).mode & 0o777).toBe(0o700)
  }
})

test("it is its owner's to use also under a umask that takes rights from the owner", async () => {
  const above = temporaryFolder()
  const store = await open(join(above, 'one', 'root'))
  const before = process.umask(0o777)
  onTestFinished(() => void process.umask(before))
  await store.create('a')
  for (const path of ['one', 'one/root']) expect(lstatSync(join(above, path)).mode & 0o777).toBe(0o700)
})

test('several stores that make one root at once all get it', async () => {
  const root = join(temporaryFolder(), 'new', 'root')
  const ids = ['a', 'b', 'c', 'd']
  const stores = await Promise.all(ids.map(() => open(root)))
  await Promise.all(ids.map((id, at) => stores[at]?.create(id)))
  expect((await all((await open(root)).list())).map(({ id }) => id)).toEqual(ids)
})

test.each([
  ['a file', (folder: string) => join(folder, 'file')],
  ['below a file', (folder: string) => join(folder, 'file', 'root')],
])('a root that is %s is an error, and nothing is made', async (_, rootIn) => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'file'), '')
  const store = await open(rootIn(folder))
  await expect(store.create('a')).rejects.toMatchObject({
    code: 'IO_ERROR',
    cause: { code: expect.stringMatching(/^E(EXIST|NOTDIR)$/) },
  })
  expect(readdirSync(folder)).toEqual(['file'])
})

test.skipIf(!existsSync('/proc/self'))('a root where nothing can be made is an error at once', async () => {
  const store = await open('/proc/none/root')
  await expect(store.create('a')).rejects.toMatchObject({
    code: 'IO_ERROR',
    id: 'a',
    cause: { code: 'ENOENT' },
  })
})
