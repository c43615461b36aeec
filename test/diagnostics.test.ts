import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import lockfile from 'proper-lockfile'
import { CHANGE_CHANNEL } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { withDiagnostics } from '#src/diagnostics.js'
import { places } from './support/effort.js'
import { holdFlock } from './support/flock.js'
import { temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'
import { listen, nextChangeWaits } from './support/trace.js'
import { until } from './support/wait.js'

async function setUp(on?: string, lockTimeout = 5_000) {
  const root = temporaryFolder(on)
  const store = await openTestStore(root, { lockTimeout })
  return { root, store, lock: join(root, 'a', 'lock'), state: join(root, 'a', 'state.json') }
}

const duration = expect.any(Number)

describe.each(places)('what is published on $name', ({ folder }) => {
  test('each change, with its states and how long it took', async () => {
    const starts = listen('start')
    const ends = listen('asyncEnd')
    const errors = listen('error')
    const { store } = await setUp(folder)
    await store.create('a')
    await store.transition('a', 'ready', 'running', { reason: 'first request' })
    await store.update('a', state => ({ ...state, state: 'stopped' }))
    await store.update('a', state => ({ ...state, blockIndex: 1 }))
    await store.delete('a')
    expect(starts.map(({ id, kind }) => `${kind} ${id}`)).toEqual([
      'create a',
      'transition a',
      'update a',
      'update a',
      'delete a',
    ])
    expect(ends).toMatchObject([
      { id: 'a', kind: 'create', from: null, to: 'ready', duration },
      { id: 'a', kind: 'transition', from: 'ready', to: 'running', reason: 'first request', duration },
      { id: 'a', kind: 'update', from: 'running', to: 'stopped', duration },
      { id: 'a', kind: 'update', from: 'stopped', to: 'stopped', duration },
      { id: 'a', kind: 'delete', from: 'stopped', to: null, duration },
    ])
    for (const messages of [starts, ends]) {
      expect(messages.map(({ reason }) => reason)).toEqual([
        undefined,
        'first request',
        undefined,
        undefined,
        undefined,
      ])
    }
    expect(ends.every(({ error, lockWait }) => error === undefined && lockWait === undefined)).toBe(true)
    expect(errors).toEqual([])
  })

  test('what failed, with the state that was found and the error that the caller gets', async () => {
    const { store, state } = await setUp(folder)
    await store.create('a')
    const errors = listen('error')
    const ends = listen('asyncEnd')
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
    expect(errors).toMatchObject([
      { id: 'a', kind: 'create', duration, error: failed[0] },
      { id: 'a', kind: 'transition', from: 'ready', to: 'paused', duration, error: failed[1] },
      { id: 'a', kind: 'transition', from: 'ready', to: 'paused', duration, error: failed[2] },
      { id: 'b', kind: 'delete', duration, error: failed[3] },
      { id: 'a', kind: 'update', from: 'ready', duration, error: mine },
      { id: 'a', kind: 'transition', duration, error: failed[5] },
    ])
    const codes = failed.map(error => (error as { code?: string }).code)
    expect(codes).toEqual([
      'ALREADY_EXISTS',
      'STATE_MISMATCH',
      'INVALID_TRANSITION',
      'NOT_FOUND',
      undefined,
      'CORRUPT_STATE',
    ])
    expect(ends.map(({ error }) => error)).toEqual(failed)
  })

  test('a wait for a lock: who was in the way, and for how long', async () => {
    const { store, lock } = await setUp(folder)
    await store.create('a')
    const shell = await holdFlock(lock)
    const ends = listen('asyncEnd')
    const isWaiting = nextChangeWaits()
    const change = store.transition('a', 'ready', 'running')
    await until('the change waits', isWaiting)
    await shell.release()
    await change
    await store.transition('a', 'running', 'stopped')
    expect(ends.map(({ lockWait }) => lockWait)).toEqual([
      { duration, holder: expect.objectContaining({ lock: 'flock', pid: shell.pid }) },
      undefined,
    ])
    expect(ends[0]?.lockWait?.duration).toBeGreaterThan(0)
    expect(ends[0]?.lockWait?.duration).toBeLessThan(ends[0]?.duration ?? 0)
  })

  test('a wait that ends with LOCK_TIMEOUT', async () => {
    const { store, state } = await setUp(folder, 100)
    await store.create('a')
    const errors = listen('error')
    const release = await lockfile.lock(state)
    await expect(store.delete('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    await release()
    const holder = { lock: 'proper-lockfile', since: expect.any(String) }
    const error = expect.objectContaining({ code: 'LOCK_TIMEOUT' })
    expect(errors).toMatchObject([{ id: 'a', kind: 'delete', lockWait: { duration, holder }, error }])
  })

  test('is published when the locks are released', async () => {
    const { store, lock, root } = await setUp(folder)
    const free: string[] = []
    const tryLocks = () => {
      const { status } = spawnSync('flock', ['--nonblock', lock, 'ls', join(root, 'a')])
      free.push(`flock ${status}, proper-lockfile ${lockfile.checkSync(join(root, 'a', 'state.json'))}`)
    }
    await store.create('a')
    listen('asyncStart', tryLocks)
    listen('error', tryLocks)
    await store.update('a', state => {
      tryLocks()
      return state
    })
    await store.transition('a', 'paused', 'running').catch(() => {})
    const nobody = 'flock 0, proper-lockfile false'
    expect(free).toEqual(['flock 1, proper-lockfile true', nobody, nobody, nobody])
  })
})

test('what a subscriber throws breaks no change; Node reports it as an uncaught exception', async () => {
  const { root } = await setUp()
  const program = `
    import { subscribe } from 'node:diagnostics_channel'
    import { openStore } from 'sandbox-state'
    const thrown = []
    process.on('uncaughtException', error => thrown.push(error.message))
    subscribe('tracing:sandbox-state:change:asyncEnd', () => { throw new Error('mine') })
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

test('without a subscriber nothing is measured', async () => {
  const given: unknown[] = []
  const make = async (trace: unknown) => given.push(trace)
  await withDiagnostics({ id: 'a', kind: 'update', reason: undefined }, make)
  listen('end')
  await withDiagnostics({ id: 'a', kind: 'update', reason: undefined }, make)
  expect(given).toEqual([undefined, expect.objectContaining({ id: 'a', kind: 'update' })])
})

describe('docs/observability.md', () => {
  const text = readFileSync(new URL('../docs/observability.md', import.meta.url), 'utf8')

  test('names each channel and each field of its messages', () => {
    for (const step of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) {
      expect(text).toContain(`| \`tracing:${CHANGE_CHANNEL}:${step}\` |`)
    }
    for (const field of ['id', 'kind', 'duration', 'from', 'to', 'error', 'lockWait', 'result']) {
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
