import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { places } from '../support/effort.js'
import { age } from '../support/faults.js'
import { holdFlock } from '../support/flock.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { settled } from '../support/wait.js'

describe.each(places)('locks on $name', ({ folder }) => {
  async function setUp(lockTimeout: number) {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root, { lockTimeout })
    await store.create('a')
    await store.create('b')
    return { store, lock: join(root, 'a', 'lock'), state: join(root, 'a', 'state.json') }
  }

  test('a shell that holds flock(1) makes a change time out with its pid and command', async () => {
    const { store, lock } = await setUp(300)
    const shell = await holdFlock(lock)
    await expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      id: 'a',
      path: lock,
      message: expect.stringMatching(new RegExp(`pid ${shell.pid} \\(sh\\)`)),
    })
    expect(await store.read('a')).toMatchObject({ state: 'ready' })
    expect(await all(store.list())).toHaveLength(2)
    await store.transition('b', 'ready', 'running')
    await shell.release()
    await store.transition('a', 'ready', 'running')
  })

  test('a change waits for a shell that lets go in time', async () => {
    const { store, lock } = await setUp(10_000)
    const shell = await holdFlock(lock)
    const change = store.transition('a', 'ready', 'running')
    expect(await settled(change, 100)).toBe('pending')
    await shell.release()
    expect((await change).state).toBe('running')
  })

  test('a shared lock, as Kata takes to read, keeps changes out, too', async () => {
    const { store, lock } = await setUp(100)
    await holdFlock(lock, '--shared')
    await expect(store.delete('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
  })

  test('a proper-lockfile lock of another program makes a change time out', async () => {
    const { store, state, lock } = await setUp(300)
    const release = await lockfile.lock(state)
    await expect(store.transition('a', 'ready', 'running')).rejects.toMatchObject({
      code: 'LOCK_TIMEOUT',
      id: 'a',
      message: expect.stringContaining('proper-lockfile'),
    })
    expect(await store.read('a')).toMatchObject({ state: 'ready' })
    expect(await all(store.list())).toHaveLength(2)
    // Its turn over, our own lock is free again.
    await (await holdFlock(lock, '--nonblock')).release()
    await release()
    await store.transition('a', 'ready', 'running')
  })

  test('a proper-lockfile lock that another program left behind keeps its stale time of 10 s', async () => {
    const { store, state } = await setUp(0)
    mkdirSync(`${state}.lock`)
    age(`${state}.lock`, 7_000) // Not closer to 10 s: this process may have to wait for its turn.
    await expect(store.delete('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    expect(statSync(`${state}.lock`).isDirectory()).toBe(true)
    age(`${state}.lock`, 11_000)
    await store.transition('a', 'ready', 'running')
    expect(() => statSync(`${state}.lock`)).toThrow('ENOENT')
  })

  test('a program with proper-lockfile waits for our change', async () => {
    const { store, state } = await setUp(10_000)
    let locked: boolean | undefined
    await store.update('a', current => {
      locked = statSync(`${state}.lock`).isDirectory()
      return current
    })
    expect(locked).toBe(true)
    expect(await lockfile.check(state)).toBe(false)
  })

  test('both locks are held while an update runs, and neither afterwards', async () => {
    const { store, lock, state } = await setUp(10_000)
    const tried: (number | null)[] = []
    const tryFlock = () => spawnSync('flock', ['--nonblock', lock, 'true']).status
    await store.update('a', current => {
      tried.push(tryFlock())
      return current
    })
    tried.push(tryFlock())
    expect(tried).toEqual([1, 0])
    expect(readdirSync(join(state, '..')).sort()).toEqual(['history.jsonl', 'lock', 'state.json'])
  })

  test('a sandbox that was deleted and made again while a change waited is locked anew', async () => {
    const { store, lock } = await setUp(10_000)
    const shell = await holdFlock(lock)
    const waiting = store.transition('a', 'ready', 'running')
    expect(await settled(waiting, 50)).toBe('pending')
    // What `rm -r` and a new sandbox would do, no matter who holds the lock.
    rmSync(join(lock, '..'), { recursive: true })
    mkdirSync(join(lock, '..'))
    writeFileSync(join(lock, '..', 'state.json'), '{"state":"ready","blockIndex":5}')
    await shell.release()
    expect(await waiting).toMatchObject({ state: 'running', blockIndex: 5 })
    expect(statSync(lock).isFile()).toBe(true)
  })
})
