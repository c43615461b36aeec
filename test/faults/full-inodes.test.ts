import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { mountTmpfs, smallFilesystems, takeInodes } from '../support/mount.js'
import { openTestStore } from '../support/store.js'
import { namesIn } from './sandbox.js'

// Deleting is what helps on a full disk, also where no file can be created.

const missing = smallFilesystems.find(({ name }) => name.startsWith('tmpfs'))?.missing
if (missing !== undefined) console.warn(`no filesystem without a free inode: ${missing}`)

describe.skipIf(missing !== undefined)('on a filesystem without a free inode', () => {
  test.each([
    ['ready', false],
    ['running', true],
    ['torn', true],
  ])('a sandbox that is %s and has no lock file can be deleted', async (state, force) => {
    const folder = mountTmpfs('size=1m,nr_inodes=40')
    const root = join(folder, 'root')
    const store = await openTestStore(root)
    await store.create('a')
    if (state === 'running') await store.transition('a', 'ready', 'running')
    if (state === 'torn') writeFileSync(join(root, 'a', 'state.json'), '{"sta')
    rmSync(join(root, 'a', 'lock'))
    takeInodes(folder)
    await store.delete('a', { force })
    expect(namesIn(root, 'a')).toBeUndefined()
    expect(await all(store.list())).toEqual([])
  })
})
