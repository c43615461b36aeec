import type { ChildProcess } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { StateStoreError } from 'sandbox-state'
import { expect, test } from 'vitest'
import { places } from '../support/effort.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'
import { namesIn, TIDY } from './sandbox.js'

// A process stops inside a change for longer than the 10 s after which proper-lockfile takes a lock to be left behind.

const STALE = 10_000

interface Held {
  readonly root: string
  readonly child: ChildProcess
  /** What the holder reports at the end. */
  readonly finished: Promise<unknown>
  /** Whether its lock is stale to a program that knows only proper-lockfile. */
  isStale(): boolean
}

async function startHolder(folder: string, how: 'stopped' | 'blocked'): Promise<Held> {
  const root = temporaryFolder(folder)
  const store = await openTestStore(root)
  await store.create('a')
  await store.create('b')
  const child = startProgram('holder', [root, 'a', how], { stdio: ['pipe', 'inherit', 'inherit', 'ipc'] })
  await nextMessage(child)
  const dotLock = join(root, 'a', 'state.json.lock')
  const isStale = () => statSync(dotLock).mtimeMs < Date.now() - STALE
  return { root, child, finished: nextMessage(child), isStale }
}

/** The test of one kind of stop: the holder is not robbed, waiters learn who it is, and it finishes right. */
async function holdAndWait(folder: string, how: 'stopped' | 'blocked'): Promise<void> {
  const before = Date.now()
  const { root, child, finished, isStale } = await startHolder(folder, how)
  const inside = Date.now()
  const store = await openTestStore(root, { lockTimeout: STALE + 1_000 })
  const update = () => store.update('a', state => ({ ...state, blockIndex: state.blockIndex + 100 }))
  // Others go on, and readers see the old state.
  await store.transition('b', 'ready', 'running')
  expect(await store.read('a')).toMatchObject({ blockIndex: 0 })
  const error = await update().catch((error: unknown) => error)
  expect(isStale()).toBe(true)
  expect(error).toBeInstanceOf(StateStoreError)
  expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a', path: join(root, 'a', 'lock') })
  const message = String(error)
  expect(message).toContain(`pid ${child.pid}`)
  expect(message).toContain('holder.mjs')
  const since = Date.parse(/since (\S+Z)/.exec(message)?.[1] ?? '')
  expect(before <= since && since <= inside).toBe(true)
  expect(await store.read('a')).toMatchObject({ blockIndex: 0 })
  if (how === 'stopped') child.kill('SIGCONT')
  else child.stdin?.end()
  expect(await finished).toEqual({ ok: true, result: 1, runs: 1 })
  expect(await update()).toMatchObject({ blockIndex: 101 })
  expect(namesIn(root, 'a')).toEqual(TIDY)
  expect(readFileSync(join(root, 'a', 'lock'), 'latin1')).toMatch(/^\{"held":false,/)
}

/** A program that knows only proper-lockfile cannot know better. What it does then is not lost. */
async function robAndRelease(folder: string): Promise<void> {
  const { root, child, finished, isStale } = await startHolder(folder, 'stopped')
  const file = join(root, 'a', 'state.json')
  await expect(lockfile.lock(file)).rejects.toMatchObject({ code: 'ELOCKED' })
  await until('the lock is stale', isStale)
  const release = await lockfile.lock(file)
  child.kill('SIGCONT')
  const isFree = () => readFileSync(join(root, 'a', 'lock'), 'latin1').startsWith('{"held":false,')
  await until('the holder has noticed', isFree)
  const state = JSON.parse(readFileSync(file, 'utf8'))
  expect(state).toMatchObject({ blockIndex: 0 })
  writeFileSync(file, JSON.stringify({ ...state, blockIndex: 1000 }))
  await release()
  expect(await finished).toEqual({ ok: true, result: 1001, runs: 2 })
  expect(namesIn(root, 'a')).toEqual(TIDY)
}

// All at once, as each takes more than 10 s.
test('a holder that stands still for more than 10 s is not robbed, and finishes right', {
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
