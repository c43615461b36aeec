import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type StoreOptions } from 'sandbox-state'
import { expect, test } from 'vitest'
import { describeContract } from './contract.js'
import { all } from './support/all.js'
import { filesystems, temporaryFolder } from './support/root.js'

for (const { name, folder } of filesystems) describeContract(name, () => temporaryFolder(folder))

test('opening, reading and listing make nothing', async () => {
  const root = join(temporaryFolder(), 'not', 'there')
  const store = await openStore(root)
  await expect(store.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(store.delete('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await all(store.list())).toEqual([])
  expect(existsSync(root)).toBe(false)
  await store.create('a')
  expect(existsSync(join(root, 'a', 'state.json'))).toBe(true)
  await store.close()
})

test.each<[unknown, unknown]>([
  ['', {}],
  ['a\0b', {}],
  [undefined, {}],
  ['ftp://a', {}],
  ['/tmp', null],
  ['/tmp', { lockTimeout: -1 }],
  ['/tmp', { lockTimeout: Number.NaN }],
  ['/tmp', { lockTimeout: '1' }],
  ['/tmp', { durable: 'yes' }],
  ['/tmp', { history: 1 }],
  ['/tmp', { lockTimout: 1 }],
])('openStore(%j, %j) is a TypeError', async (root, options) => {
  await expect(openStore(root as string, options as StoreOptions)).rejects.toBeInstanceOf(TypeError)
})

test('changes one after another let the event loop turn', async () => {
  const store = await openStore(temporaryFolder(filesystems[0]?.folder))
  await store.create('a')
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const end = performance.now() + 300
  while (performance.now() < end) await store.update('a', state => state)
  clearInterval(timer)
  expect(turns).toBeGreaterThan(5)
  await store.close()
})
