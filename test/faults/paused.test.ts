import type { ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import lockfile from 'proper-lockfile'
import { openStore, StateStoreError } from 'sandbox-state'
import { expect, test } from 'vitest'
import { places } from '../support/effort.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { namesIn, TIDY } from './sandbox.js'

// A process stops inside a change for longer than the 10 s after which proper-lockfile takes a lock to be left behind.

const STALE = 10_000
const LONGER = STALE + 2_000

interface Held {
  readonly root: string
  readonly child: ChildProcess
  /** By this program's clock, when the holder was inside. */
  readonly since: number
}

async function startHolder(folder: string, how: 'stopped' | 'blocked'): Promise<Held> {
  const root = temporaryFolder(folder)
  const store = await openStore(root)
  await store.create('a')
  await store.create('b')
  await store.close()
  const child = startProgram('holder', [root, 'a', how, String(LONGER + 1_000)])
  const { since } = (await nextMessage(child)) as { since: number }
  return { root, child, since }
}

/** The test of one kind of stop: the holder is not robbed, waiters learn who it is, and it finishes right. */
async function holdAndWait(folder: string, how: 'stopped' | 'blocked'): Promise<void> {
  const { root, child, since } = await startHolder(folder, how)
  const finished = nextMessage(child)
  const store = await openStore(root, { lockTimeout: LONGER - 1_000 - (Date.now() - since) })
  const update = () => store.update('a', state => ({ ...state, blockIndex: state.blockIndex + 100 }))
  // Others go on, and readers see the old state.
  await store.transition('b', 'ready', 'running')
  expect(await store.read('a')).toMatchObject({ blockIndex: 0 })
  const error = await update().catch((error: unknown) => error)
  expect(Date.now() - since).toBeGreaterThan(STALE)
  expect(error).toBeInstanceOf(StateStoreError)
  expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a', path: join(root, 'a', 'lock') })
  const message = String(error)
  expect(message).toContain(`pid ${child.pid}`)
  expect(message).toContain('holder.mjs')
  const noted = /since (\S+Z)/.exec(message)?.[1] ?? ''
  expect(Math.abs(Date.parse(noted) - since)).toBeLessThan(2_000)
  expect(await store.read('a')).toMatchObject({ blockIndex: 0 })
  await sleep(since + LONGER - Date.now())
  if (how === 'stopped') child.kill('SIGCONT')
  expect(await finished).toEqual({ ok: true, result: 1 })
  expect(await update()).toMatchObject({ blockIndex: 101 })
  expect(namesIn(root, 'a')).toEqual(TIDY)
  expect(readFileSync(join(root, 'a', 'lock'), 'latin1')).toMatch(/^\{"held":false,/)
  await store.close()
}

/** A program that knows only proper-lockfile cannot know better. What it does then is not lost. */
async function robAndRelease(folder: string): Promise<void> {
  const { root, child, since } = await startHolder(folder, 'stopped')
  const finished = nextMessage(child)
  const file = join(root, 'a', 'state.json')
  await expect(lockfile.lock(file)).rejects.toMatchObject({ code: 'ELOCKED' })
  await sleep(since + STALE + 1_500 - Date.now())
  const release = await lockfile.lock(file)
  child.kill('SIGCONT')
  await sleep(500)
  const state = JSON.parse(readFileSync(file, 'utf8'))
  expect(state).toMatchObject({ blockIndex: 0 })
  writeFileSync(file, JSON.stringify({ ...state, blockIndex: 1000 }))
  await release()
  expect(await finished).toEqual({ ok: true, result: 1001 })
  expect(namesIn(root, 'a')).toEqual(TIDY)
}

// All at once, as each takes its 12 s.
test('a holder that stands still for 12 s is not robbed, and finishes right', {
  timeout: 90_000,
}, async () => {
  const runs = places.flatMap(({ folder }) => [
    holdAndWait(folder, 'stopped'),
    holdAndWait(folder, 'blocked'),
    robAndRelease(folder),
  ])
  const failures = (await Promise.allSettled(runs)).filter(({ status }) => status === 'rejected')
  expect(failures).toEqual([])
})
