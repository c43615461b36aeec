import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// After a holder was killed, its pid may be given to another process: a pid alone does not say who holds a lock.

/** A root with a running sandbox, and a store whose changes wait for nobody. */
async function setUp() {
  const root = temporaryFolder()
  const store = await openTestStore(root, { lockTimeout: 1 })
  await store.create('a')
  await store.transition('a', 'ready', 'running')
  return { root, store }
}

/** Writes a living process's pid over the one in a record, as if the system had given it the dead one's. */
function recycle(file: string, pid: number | undefined): void {
  const record = readFileSync(file, 'utf8')
  const recycled = record.replace(`"pid":${pid}`, `"pid":${process.pid}`)
  expect(recycled).not.toBe(record)
  writeFileSync(file, recycled)
}

test('a lock whose holder was killed is free, though its pid lives on', async () => {
  const { root, store } = await setUp()
  const holder = startProgram('holder', [root, 'a', 'stopped'])
  await nextMessage(holder)
  await expect(store.update('a', state => state)).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const lock = join(root, 'a', 'lock')
  recycle(lock, holder.pid)
  expect(readFileSync(lock, 'utf8')).toMatch(/^\{"held":true /)
  expect(existsSync(join(root, 'a', 'state.json.lock'))).toBe(true)
  expect(await all(store.locks())).toEqual([])
  expect(await store.update('a', state => ({ ...state, blockIndex: 7 }))).toMatchObject({ blockIndex: 7 })
})

test('a sandbox whose owner was killed is an orphan, though its pid lives on', async () => {
  const { root, store } = await setUp()
  const owner = startProgram('owner', [root])
  await nextMessage(owner)
  owner.send(['own', 'a'])
  await nextMessage(owner)
  owner.kill('SIGKILL')
  await once(owner, 'exit')
  recycle(join(root, 'a', 'owner'), owner.pid)
  expect(await all(store.orphans())).toMatchObject([{ id: 'a', owner: { pid: process.pid } }])
  expect(await all(store.reap())).toMatchObject([{ id: 'a' }])
  expect(await store.read('a')).toMatchObject({ state: 'stopped' })
})
