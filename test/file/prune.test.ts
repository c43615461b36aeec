import { tracingChannel } from 'node:diagnostics_channel'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CHANGE_CHANNEL, type ChangeTrace, type PruneOptions, type SandboxStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { holdFlock } from '../support/flock.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { PATIENCE } from '../support/wait.js'

const NOW: PruneOptions = { olderThan: 0 }

/** A store with sandboxes that are stopped, and old enough to be pruned. */
async function stopped(root: string, ...ids: string[]): Promise<SandboxStore> {
  const store = await openTestStore(root, { lockTimeout: 20 })
  for (const id of ids) {
    await store.create(id)
    await store.transition(id, 'ready', 'stopped')
  }
  const planned = () => all(store.prune({ ...NOW, dryRun: true }))
  await expect.poll(planned, { timeout: PATIENCE }).toHaveLength(ids.length)
  return store
}

test('a sandbox that somebody holds keeps no other from being pruned', async () => {
  const root = temporaryFolder()
  const store = await stopped(root, 'a', 'b', 'c')
  await holdFlock(join(root, 'a', 'lock'))
  const pruned: string[] = []
  const sweep = (async () => {
    for await (const { id } of store.prune(NOW)) pruned.push(id)
  })()
  await expect(sweep).rejects.toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a' })
  expect(pruned).toEqual(['b', 'c'])
  expect(await all(store.list())).toMatchObject([{ id: 'a' }])
})

test('a sweep that has begun goes on while the store is being closed', async () => {
  const store = await stopped(temporaryFolder(), 'a', 'b', 'c')
  const sweep = all(store.prune(NOW))
  const closed = store.close()
  expect(await sweep).toMatchObject([{ id: 'a' }, { id: 'b' }, { id: 'c' }])
  await closed
  await expect(all(store.prune(NOW))).rejects.toMatchObject({ code: 'CLOSED' })
})

/** Puts this into the state file of `a` when its deletion begins. */
function writeMeanwhile(root: string, text: string): void {
  const write = (change: unknown) => {
    if ((change as ChangeTrace).id === 'a') writeFileSync(join(root, 'a', 'state.json'), text)
  }
  const { start } = tracingChannel(CHANGE_CHANNEL)
  start.subscribe(write)
  onTestFinished(() => void start.unsubscribe(write))
}

test('a sandbox that was started and stopped again meanwhile stays', async () => {
  const root = temporaryFolder()
  const store = await stopped(root, 'a', 'b')
  writeMeanwhile(root, readFileSync(join(root, 'a', 'state.json'), 'utf8'))
  expect(await all(store.prune(NOW))).toMatchObject([{ id: 'b' }])
  expect(await all(store.list())).toMatchObject([{ id: 'a', state: { state: 'stopped' } }])
})

test('a sandbox that is damaged meanwhile stays, and the sweep goes on', async () => {
  const root = temporaryFolder()
  const store = await stopped(root, 'a', 'b')
  writeMeanwhile(root, '{')
  expect(await all(store.prune(NOW))).toMatchObject([{ id: 'b' }])
  expect(await all(store.list())).toMatchObject([{ id: 'a', error: { code: 'CORRUPT_STATE' } }])
})
