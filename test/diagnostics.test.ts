import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import lockfile from 'proper-lockfile'
import {
  CHANNELS,
  type ChangeMessage,
  type ConflictMessage,
  type ErrorMessage,
  type LockWaitMessage,
  openStore,
} from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Change } from '#src/change.js'
import { told } from '#src/diagnostics.js'
import { holdFlock } from './support/flock.js'
import { filesystems, temporaryFolder } from './support/root.js'

interface Messages {
  change: ChangeMessage
  conflict: ConflictMessage
  lockWait: LockWaitMessage
  error: ErrorMessage
}

/** What comes on a channel until the test ends. */
function listen<K extends keyof Messages>(kind: K, also: () => void = () => {}): Messages[K][] {
  const messages: Messages[K][] = []
  const receive = (message: unknown) => {
    messages.push(message as Messages[K])
    also()
  }
  subscribe(CHANNELS[kind], receive)
  onTestFinished(() => void unsubscribe(CHANNELS[kind], receive))
  return messages
}

async function setUp(on?: string, lockTimeout = 5_000) {
  const root = temporaryFolder(on)
  const store = await openStore(root, { lockTimeout })
  onTestFinished(() => store.close())
  return { root, store, lock: join(root, 'a', 'lock'), state: join(root, 'a', 'state.json') }
}

const duration = expect.any(Number)

describe.each(filesystems)('what is published on $name', ({ folder }) => {
  test('each change, with its states and how long it took', async () => {
    const changes = listen('change')
    const others = [listen('conflict'), listen('error'), listen('lockWait')]
    const { store } = await setUp(folder)
    await store.create('a')
    await store.transition('a', 'ready', 'running')
    await store.update('a', state => ({ ...state, state: 'stopped' }))
    await store.update('a', state => ({ ...state, blockIndex: 1 }))
    await store.delete('a')
    expect(changes).toEqual([
      { id: 'a', kind: 'create', from: null, to: 'ready', duration },
      { id: 'a', kind: 'transition', from: 'ready', to: 'running', duration },
      { id: 'a', kind: 'update', from: 'running', to: 'stopped', duration },
      { id: 'a', kind: 'update', from: 'stopped', to: 'stopped', duration },
      { id: 'a', kind: 'delete', to: null, duration },
    ])
    expect(changes.every(({ duration }) => duration > 0 && duration < 5_000)).toBe(true)
    expect(others).toEqual([[], [], []])
  })

  test('conflicts and errors, each with the error that the caller gets', async () => {
    const { store, state } = await setUp(folder)
    await store.create('a')
    const changes = listen('change')
    const conflicts = listen('conflict')
    const errors = listen('error')
    const mine = new Error('mine')
    const failed: unknown[] = []
    for (const call of [
      () => store.create('a'),
      () => store.transition('a', 'running', 'paused'),
      () => store.transition('a', 'ready', 'paused' as 'running'),
      () => store.delete('b'),
      () =>
        store.update('a', () => {
          throw mine
        }),
      () => {
        writeFileSync(state, '{')
        return store.transition('a', 'ready', 'running')
      },
    ]) {
      await call().catch((error: unknown) => failed.push(error))
    }
    expect(changes).toEqual([])
    expect(conflicts).toEqual([
      { id: 'a', kind: 'create', code: 'ALREADY_EXISTS', duration, error: failed[0] },
      {
        id: 'a',
        kind: 'transition',
        code: 'STATE_MISMATCH',
        from: 'running',
        to: 'paused',
        duration,
        error: failed[1],
      },
      {
        id: 'a',
        kind: 'transition',
        code: 'INVALID_TRANSITION',
        from: 'ready',
        to: 'paused',
        duration,
        error: failed[2],
      },
      { id: 'b', kind: 'delete', code: 'NOT_FOUND', duration, error: failed[3] },
    ])
    expect(errors).toEqual([
      { id: 'a', kind: 'update', duration, error: mine },
      { id: 'a', kind: 'transition', code: 'CORRUPT_STATE', duration, error: failed[5] },
    ])
  })

  test('a wait for a lock: who was in the way, and for how long', async () => {
    const { store, lock } = await setUp(folder)
    await store.create('a')
    const waits = listen('lockWait')
    const shell = await holdFlock(lock)
    const change = store.transition('a', 'ready', 'running')
    setTimeout(() => void shell.release(), 150)
    await change
    expect(waits).toEqual([
      {
        id: 'a',
        kind: 'transition',
        duration,
        timedOut: false,
        holder: expect.objectContaining({ lock: 'flock', pid: shell.pid }),
      },
    ])
    expect(waits[0]?.duration).toBeGreaterThan(100)
    expect(waits[0]?.duration).toBeLessThan(2_000)
    await store.transition('a', 'running', 'stopped')
    expect(waits).toHaveLength(1)
  })

  test('a wait that ends with LOCK_TIMEOUT is an error, too', async () => {
    const { store, state } = await setUp(folder, 100)
    await store.create('a')
    const waits = listen('lockWait')
    const errors = listen('error')
    const release = await lockfile.lock(state)
    await expect(store.delete('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    await release()
    const holder = { lock: 'proper-lockfile', since: expect.any(String) }
    expect(waits).toEqual([{ id: 'a', kind: 'delete', duration, timedOut: true, holder }])
    expect(errors).toMatchObject([{ id: 'a', kind: 'delete', code: 'LOCK_TIMEOUT' }])
  })

  test('is published when the locks are released', async () => {
    const { store, lock, root } = await setUp(folder)
    const free: string[] = []
    const tryLocks = () => {
      const { status } = spawnSync('flock', ['--nonblock', lock, 'ls', join(root, 'a')])
      free.push(`flock ${status}, proper-lockfile ${lockfile.checkSync(join(root, 'a', 'state.json'))}`)
    }
    await store.create('a')
    listen('change', tryLocks)
    listen('conflict', tryLocks)
    listen('lockWait', tryLocks)
    await store.update('a', state => {
      tryLocks()
      return state
    })
    await store.transition('a', 'paused', 'running').catch(() => {})
    const shell = await holdFlock(lock)
    setTimeout(() => void shell.release(), 20)
    await store.transition('a', 'ready', 'running')
    const nobody = 'flock 0, proper-lockfile false'
    expect(free).toEqual(['flock 1, proper-lockfile true', nobody, nobody, nobody, nobody])
  })
})

test('what a subscriber throws breaks no change; Node reports it as an uncaught exception', async () => {
  const { root } = await setUp()
  const program = `
    import { subscribe } from 'node:diagnostics_channel'
    import { openStore } from 'sandbox-state'
    const thrown = []
    process.on('uncaughtException', error => thrown.push(error.message))
    subscribe('sandbox-state:change', () => { throw new Error('mine') })
    const store = await openStore(process.argv[1])
    const states = [await store.create('a'), await store.transition('a', 'ready', 'running'), await store.read('a')]
    await store.close()
    await new Promise(resolve => setImmediate(resolve))
    console.log(JSON.stringify([states.map(({ state }) => state), thrown]))`
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', program, root], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  })
  expect(child).toMatchObject({ status: 0, stderr: '' })
  expect(JSON.parse(child.stdout)).toEqual([
    ['ready', 'running', 'running'],
    ['mine', 'mine'],
  ])
})

test('without a subscriber a change is passed on as it is', async () => {
  const update: Change = { kind: 'update', update: state => state }
  const passed: Change[] = []
  const make = async (change: Change) => {
    passed.push(change)
    return undefined
  }
  await told('a', update, make)
  listen('change')
  await told('a', update, make)
  expect(passed.map(change => change === update)).toEqual([true, false])
})

describe('docs/observability.md', () => {
  const text = readFileSync(new URL('../docs/observability.md', import.meta.url), 'utf8')

  test('names each channel and each field of its messages', () => {
    for (const [key, name] of Object.entries(CHANNELS)) {
      expect(text).toContain(`| \`CHANNELS.${key}\` | \`${name}\` |`)
    }
    for (const field of ['id', 'kind', 'duration', 'from', 'to', 'code', 'error', 'timedOut', 'holder']) {
      expect(text).toMatch(new RegExp(`^\\| .*\`${field}\``, 'm'))
    }
  })

  test('has an example that does what it shows', () => {
    const [, example = '', output = ''] = /```js\n(.*?)```.*?```text\n(.*?)```/s.exec(text) ?? []
    const child = spawnSync(process.execPath, ['--input-type=module', '-', temporaryFolder()], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      encoding: 'utf8',
      input: example,
    })
    const withoutTimes = (lines: string) => lines.replaceAll(/\d+\.\d ms/g, 'T ms')
    expect(child).toMatchObject({ status: 0, stderr: '' })
    expect(withoutTimes(child.stdout)).toBe(withoutTimes(output))
  })
})
