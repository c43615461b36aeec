import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { beforeEachCall } from '../attack/before-call.js'
import { places } from '../support/effort.js'
import { holdFlock } from '../support/flock.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// The holder of flock(2) on a sandbox's `lock` removes or moves the folder, as Kata's delete does, and goes on holding.

/** It may see that the sandbox is gone, or wait until its time is up, without blocking its event loop. */
function expectEnded(outcome: unknown): void {
  expect(outcome).toMatchObject({ code: expect.stringMatching(/^(LOCK_TIMEOUT|NOT_FOUND)$/) })
  const { code, ticks } = outcome as { code: string; ticks: number }
  if (code === 'LOCK_TIMEOUT') expect(ticks).toBeGreaterThan(0)
}

describe.each(places)('the holder of a lock, on $name', ({ folder }) => {
  /** A sandbox that is locked, and a program that waits for it. */
  async function setUp(what: 'create' | 'update', lockTimeout = 60_000) {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root, { lockTimeout: 0 })
    await store.create('a')
    const held = await holdFlock(join(root, 'a', 'lock'))
    if (what === 'create') rmSync(join(root, 'a', 'state.json'))
    const child = startProgram('ticker', [root, 'a', what, String(lockTimeout), 'say'])
    expect(await nextMessage(child)).toBe('waiting')
    const answer = nextMessage(child)
    return { root, store, held, child, answer }
  }

  test.each<[string, (path: string) => void]>([
    ['removes the folder', path => rmSync(path, { recursive: true })],
    ['moves the folder away', path => renameSync(path, join(path, '..', '.moved'))],
  ])('%s: a waiter ends at its limit, and its timers fire meanwhile', async (_, takeAway) => {
    const { root, answer } = await setUp('update', 2_000)
    takeAway(join(root, 'a'))
    expectEnded(await answer)
  })

  test('removes the folder: a create of the id, which is free, does not wait for it', async () => {
    const { root, store, answer } = await setUp('create')
    rmSync(join(root, 'a'), { recursive: true })
    expect(await answer).toMatchObject({ code: 'ok' })
    expect(await store.read('a')).toMatchObject({ cgroupPath: '/new' })
  })

  test('moves the folder away and lets go: no change is acknowledged there', async () => {
    const { root, held, answer } = await setUp('update')
    const moved = join(root, '.moved')
    renameSync(join(root, 'a'), moved)
    const before = readFileSync(join(moved, 'state.json'))
    await held.release()
    expect(await answer).toMatchObject({ code: 'NOT_FOUND' })
    expect(readFileSync(join(moved, 'state.json'))).toEqual(before)
  })

  test('moves the folder away, and another is made in its place: the change is made in that one', async () => {
    const { root, store, held, child, answer } = await setUp('update')
    const moved = join(root, '.moved')
    child.kill('SIGSTOP') // It cannot see that for a moment there is no folder.
    renameSync(join(root, 'a'), moved)
    await store.create('a', { blockIndex: 10 })
    const before = readFileSync(join(moved, 'state.json'))
    await held.release()
    child.kill('SIGCONT')
    expect(await answer).toMatchObject({ code: 'ok' })
    expect(await store.read('a')).toMatchObject({ blockIndex: 11 })
    expect(readFileSync(join(moved, 'state.json'))).toEqual(before)
  })
})

test.each(places)(
  'a folder that a delete removes before any call of a create, on $name',
  async ({ folder }) => {
    let removed = 0
    for (let at = 1, calls = 1; at <= calls; at++) {
      const root = temporaryFolder(folder)
      const store = await openTestStore(root)
      mkdirSync(join(root, 'a'), 0o700)
      calls = await beforeEachCall(
        n => {
          if (n !== at) return
          try {
            rmdirSync(join(root, 'a')) // The last call of a delete.
            removed++
          } catch {
            // It is not empty.
          }
        },
        () => store.create('a'),
      )
      expect(await store.read('a'), `removed before call ${at}`).toMatchObject({ state: 'ready' })
    }
    expect(removed).toBeGreaterThan(5)
  },
)
