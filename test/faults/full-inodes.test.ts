import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { mountTmpfs, smallFilesystems } from '../support/mount.js'
import { namesIn } from './sandbox.js'

// Deleting is what helps on a full disk, also where no file can be made any more.

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
    const store = await openStore(root)
    onTestFinished(() => store.close())
    await store.create('a')
    if (state === 'running') await store.transition('a', 'ready', 'running')
    if (state === 'torn') writeFileSync(join(root, 'a', 'state.json'), '{"sta')
    rmSync(join(root, 'a', 'lock'))
    expect(() => {
      for (let i = 0; ; i++) writeFileSync(join(folder, `filler-${i}`), '')
    }).toThrow('ENOSPC')
    await store.delete('a', { force })
    expect(namesIn(root, 'a')).toBeUndefined()
    expect(await all(store.list())).toEqual([])
  })
})
