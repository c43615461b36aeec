import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StateStoreError } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { fill, mountTmpfs, remount, smallFilesystems, takeInodes } from '../support/mount.js'
import { openTestStore } from '../support/store.js'
import { namesIn, TIDY } from './sandbox.js'

// On filesystems that are really full, or read-only.

for (const { name, missing } of smallFilesystems) {
  if (missing !== undefined) console.warn(`no test on a full ${name}: ${missing}`)
}

const mountable = smallFilesystems.filter(({ missing }) => missing === undefined)

async function setUp(folder: string) {
  const root = join(folder, 'root')
  const store = await openTestStore(root)
  for (const id of ['a', 'b', 'c']) await store.create(id, { cgroupPath: `/kata/${id}` })
  await store.transition('c', 'ready', 'running')
  return { root, store, before: readFileSync(join(root, 'a', 'state.json')) }
}

async function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  )
}

function expectError(error: unknown, errno: string, path: string): void {
  expect(error).toBeInstanceOf(StateStoreError)
  expect(error).toMatchObject({ code: 'IO_ERROR', cause: { code: errno } })
  const { message, path: named } = error as StateStoreError
  expect(named?.startsWith(path)).toBe(true)
  expect(message).toContain(named)
  expect(message).toContain(errno)
  expect(message).not.toContain('/proc/')
}

const LONG = `/kata/${'x'.repeat(6_000)}`

describe.skipIf(mountable.length === 0).each(mountable)('a full $name', ({ mount }) => {
  test('fails a change, which leaves the old state; reading, listing and deleting work', async () => {
    const folder = mount()
    const { root, store, before } = await setUp(folder)
    const filler = fill(folder)
    const grow = store.update('a', state => ({ ...state, cgroupPath: LONG }))
    expectError(await errorOf(grow), 'ENOSPC', join(root, 'a'))
    expect(readFileSync(join(root, 'a', 'state.json'))).toEqual(before)
    expect(namesIn(root, 'a')).toEqual(TIDY)
    expectError(await errorOf(store.create('new', { cgroupPath: LONG })), 'ENOSPC', join(root, 'new'))
    await expect(store.read('new')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await store.read('a')).toMatchObject({ state: 'ready', cgroupPath: '/kata/a' })
    expect((await all(store.list())).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    await store.delete('b')
    await store.delete('c', { force: true })
    expect(namesIn(root, 'b')).toBeUndefined()
    expect((await all(store.list())).map(({ id }) => id)).toEqual(['a'])
    filler.empty()
    await store.update('a', state => ({ ...state, cgroupPath: LONG }))
    await store.create('new', { cgroupPath: LONG })
    expect((await all(store.list())).map(({ id }) => id)).toEqual(['a', 'new'])
    expect(namesIn(root, 'a')).toEqual(TIDY)
    expect(namesIn(root, 'new')).toEqual(TIDY)
  })

  test('on which half of a state still fits: the old one stays', async () => {
    const folder = mount()
    const { root, store, before } = await setUp(folder)
    const filler = fill(folder)
    // One block for the lock folder where such a folder takes one, and one for the first half.
    for (const room of [4096, 5120, 6144, 8192]) {
      filler.leave(room)
      const error = await errorOf(store.update('a', state => ({ ...state, cgroupPath: LONG.repeat(3) })))
      expectError(error, 'ENOSPC', join(root, 'a'))
      expect(readFileSync(join(root, 'a', 'state.json'))).toEqual(before)
      expect(namesIn(root, 'a')).toEqual(TIDY)
      fill(folder)
    }
  })

  test('that turned read-only fails each change, and is read and listed', async () => {
    const folder = mount()
    const { root, store, before } = await setUp(folder)
    remount(folder, 'ro')
    for (const call of [
      () => store.create('new'),
      () => store.transition('a', 'ready', 'running'),
      () => store.update('a', state => ({ ...state, blockIndex: 7 })),
      () => store.delete('a'),
    ]) {
      expectError(await errorOf(call()), 'EROFS', root)
    }
    expect(await store.read('a')).toMatchObject({ state: 'ready' })
    expect((await all(store.list())).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    remount(folder, 'rw')
    expect(readFileSync(join(root, 'a', 'state.json'))).toEqual(before)
    await store.transition('a', 'ready', 'running')
    expect(namesIn(root, 'a')).toEqual(TIDY)
  })
})

describe.skipIf(mountable.length === 0)('a filesystem without room for another file', () => {
  test('fails a change, which leaves the old state; deleting works', async () => {
    const folder = mountTmpfs('size=1m,nr_inodes=60')
    const { root, store, before } = await setUp(folder)
    takeInodes(folder)
    expectError(await errorOf(store.transition('a', 'ready', 'running')), 'ENOSPC', join(root, 'a'))
    expectError(await errorOf(store.create('new')), 'ENOSPC', join(root, 'new'))
    expect(readFileSync(join(root, 'a', 'state.json'))).toEqual(before)
    expect(namesIn(root, 'a')).toEqual(TIDY)
    await store.delete('b')
    expect(namesIn(root, 'b')).toBeUndefined()
    await store.transition('a', 'ready', 'running')
  })
})
