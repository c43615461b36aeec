import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type SandboxStore, StateStoreError, type StoreOptions } from 'sandbox-state'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { tryDotLock } from '#src/file/lock/dot-lock.js'
import { Dir } from '#src/file/posix/dir.js'
import { all } from '../support/all.js'
import { places } from '../support/effort.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

async function setUp(options: StoreOptions = {}, on?: string) {
  const parent = temporaryFolder(on)
  const root = join(parent, 'root')
  const store = await openTestStore(root, { lockTimeout: 100, ...options })
  await store.create('a')
  const victim = join(parent, 'victim')
  writeFileSync(victim, 'precious', { mode: 0o644 })
  return { parent, root, store, folder: join(root, 'a'), victim }
}

describe.each(places)('a file planted under the name of the temporary one, on $name', ({ folder: on }) => {
  const plants: Record<string, (path: string, victim: string) => void> = {
    'a link': (path, victim) => symlinkSync(victim, path),
    'another name of a file': (path, victim) => linkSync(victim, path),
    'a folder': path => mkdirSync(path),
  }

  test.each(Object.keys(plants))('%s: is not written to, and the change is made', async kind => {
    const { store, folder, victim } = await setUp({}, on)
    const planted = join(folder, '.state.json.tmp')
    const before = picture(victim)
    // In an update, when the locks are held: the attacker's best moment.
    const change = store.update('a', state => {
      plants[kind]?.(planted, victim)
      return { ...state, blockIndex: 1 }
    })
    if (kind === 'a folder') {
      await expect(change).rejects.toMatchObject({ name: 'StateStoreError', code: 'IO_ERROR' })
      rmSync(planted, { recursive: true })
      await store.update('a', state => ({ ...state, blockIndex: 1 }))
    } else {
      await change
      expect(existsSync(planted)).toBe(false)
    }
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    if (kind !== 'another name of a file') expect(picture(victim)).toEqual(before)
    expect((await store.read('a')).blockIndex).toBe(1)
    expect(lstatSync(join(folder, 'state.json')).isFile()).toBe(true)
  })
})

describe('another name of a file that is not ours', () => {
  test.each(['lock', 'history.jsonl'])('as %s is not written to', async name => {
    const { store, folder, victim } = await setUp()
    rmSync(join(folder, name))
    linkSync(victim, join(folder, name))
    await store.transition('a', 'ready', 'running')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    expect(await all(store.check())).toMatchObject(
      name === 'lock'
        ? [{ code: 'HARD_LINK' }, { code: 'WRONG_MODE', repairable: false }]
        : [{ code: 'DAMAGED_HISTORY' }],
    )
    await store.repair()
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    expect(statSync(victim).mode & 0o777).toBe(0o644)
  })

  test('as state.json is replaced, and neither written to nor given other rights', async () => {
    const { store, folder, victim } = await setUp()
    writeFileSync(victim, '{"state":"ready"}')
    rmSync(join(folder, 'state.json'))
    linkSync(victim, join(folder, 'state.json'))
    await store.repair()
    await store.transition('a', 'ready', 'running')
    expect(readFileSync(victim, 'utf8')).toBe('{"state":"ready"}')
    expect(statSync(victim).mode & 0o777).toBe(0o644)
  })
})

describe('what would hang or fill the memory', () => {
  const make: Record<string, (path: string) => boolean> = {
    'a FIFO': path => spawnSync('mkfifo', [path]).status === 0,
    'an endless device': path => spawnSync('mknod', [path, 'c', '1', '5']).status === 0,
    'a terminal': path => spawnSync('mknod', [path, 'c', '5', '0']).status === 0,
    'a sparse file of 1 TiB': path => {
      writeFileSync(path, '')
      truncateSync(path, 2 ** 40)
      return true
    },
    'a folder': path => {
      mkdirSync(path)
      return true
    },
  }
  const names = [
    'state.json',
    'lock',
    'history.jsonl',
    'history.jsonl.1',
    'state.json.lock',
    '.state.json.tmp',
  ]

  test.each(Object.keys(make).flatMap(kind => names.map(name => [kind, name] as const)))(
    '%s as %s: each call ends, with a typed error if any',
    async (kind, name) => {
      const { store, folder } = await setUp({ durable: false })
      rmSync(join(folder, name), { force: true })
      if (make[kind]?.(join(folder, name)) !== true) return console.warn(`cannot make ${kind} here: skipped`)
      const calls: ((store: SandboxStore) => Promise<unknown>)[] = [
        store => store.read('a'),
        store => all(store.list()),
        store => all(store.history('a')),
        store => all(store.check()),
        store => store.transition('a', 'ready', 'running'),
        store => store.update('a', state => ({ ...state, blockIndex: 2 })),
        store => store.create('a'),
        store => store.repair({ dryRun: true }),
        store => store.repair(),
        store => store.delete('a', { force: true }),
      ]
      for (const call of calls) {
        const error = await call(store).then(
          () => undefined,
          (error: unknown) => error,
        )
        if (error !== undefined) expect(error).toBeInstanceOf(StateStoreError)
      }
    },
  )

  test('a state of deep JSON, and one of a million keys, is read or refused', async () => {
    const { store, folder } = await setUp({ durable: false })
    writeFileSync(
      join(folder, 'state.json'),
      `{"state":"ready","x":${'['.repeat(9_000)}${']'.repeat(9_000)}}`,
    )
    expect((await store.transition('a', 'ready', 'running')).state).toBe('running')
    writeFileSync(
      join(folder, 'state.json'),
      `{"state":"ready","x":${'['.repeat(400_000)}${']'.repeat(400_000)}}`,
    )
    await expect(store.read('a')).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
    const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join()
    writeFileSync(join(folder, 'state.json'), `{"state":"ready",${keys.slice(0, 1_000_000)}`)
    await expect(store.read('a')).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
  })
})

test('a state with __proto__ and constructor changes no object, and keeps them', async () => {
  const { store, folder } = await setUp({ durable: false })
  const keys = '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}'
  writeFileSync(join(folder, 'state.json'), `{"state":"ready",${keys}}`)
  const state = await store.update('a', state => ({ ...state, blockIndex: 1 }))
  expect(Object.getPrototypeOf(state)).toBe(Object.prototype)
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  expect((state as unknown as Record<string, unknown>).polluted).toBeUndefined()
  expect(readFileSync(join(folder, 'state.json'), 'utf8')).toContain(keys)
  expect(await all(store.check())).toEqual([])
})

describe('a hostile id', () => {
  const ids = [
    '',
    '.',
    '..',
    '../victim',
    '../../etc/passwd',
    'a/../../victim',
    'a/state.json',
    '/etc/passwd',
    'a\0b',
    'a\nb',
    'a b',
    '.quarantine',
    '-rf',
    '%2e%2e',
    '\u001b[2J',
    '\u009b31m',
    '\u202etxt',
    'ａ',
    'é',
    'x'.repeat(129),
    'x'.repeat(1_000_000),
  ]
  const calls: Record<string, (store: SandboxStore, id: string) => Promise<unknown>> = {
    create: (store, id) => store.create(id),
    read: (store, id) => store.read(id),
    transition: (store, id) => store.transition(id, 'ready', 'running'),
    update: (store, id) => store.update(id, state => state),
    delete: (store, id) => store.delete(id, { force: true }),
    watch: (store, id) => store.watch({ id }).next(),
    waitFor: (store, id) => store.waitFor(id, 'ready', { signal: AbortSignal.timeout(1000) }),
    history: (store, id) => store.history(id).next(),
  }

  test.each(Object.keys(calls))('is refused by %s, which touches nothing', async name => {
    const { parent, store } = await setUp({ durable: false })
    const before = picture(parent)
    for (const id of ids) {
      const error = await calls[name]?.(store, id).catch((error: unknown) => error)
      expect(error).toMatchObject({ name: 'StateStoreError', code: 'INVALID_ID' })
      expect((error as Error).message).toMatch(/^[\x20-\x7e\u00a0-\u024f\uff41.]+$/)
      expect((error as Error).message.length).toBeLessThan(1500)
    }
    expect(picture(parent)).toEqual(before)
  })
})

describe.each(places)('on $name', ({ folder: on }) => {
  test.each([0o000, 0o022, 0o077])('modes are 0600 and 0700 under umask %o', async umask => {
    const before = process.umask(umask)
    onTestFinished(() => void process.umask(before))
    const { root, store, folder } = await setUp({}, on)
    const during: string[] = []
    const modes = () =>
      Object.fromEntries(
        ['.', ...readdirSync(folder)].map(name => [
          name,
          (lstatSync(join(folder, name)).mode & 0o7777).toString(8),
        ]),
      )
    await store.update('a', state => {
      during.push(JSON.stringify(modes()))
      return { ...state, blockIndex: 1 }
    })
    expect(JSON.parse(during[0] ?? '')).toMatchObject({ lock: '600', 'state.json.lock': '500' })
    expect(modes()).toEqual({ '.': '700', lock: '600', 'state.json': '600', 'history.jsonl': '600' })
    expect(lstatSync(root).mode & 0o777).toBe(0o700)
    expect(await all(store.check())).toEqual([])
  })

  test('they are so also under a umask that takes rights from the owner', async () => {
    const root = temporaryFolder(on)
    const store = await openTestStore(root)
    const before = process.umask(0o277)
    onTestFinished(() => void process.umask(before))
    await store.create('a')
    expect(lstatSync(join(root, 'a')).mode & 0o777).toBe(0o700)
    for (const name of ['state.json', 'lock', 'history.jsonl']) {
      expect([name, lstatSync(join(root, 'a', name)).mode & 0o777]).toEqual([name, 0o600])
    }
  })
})

test.skipIf(!existsSync('/proc/self/fd'))(
  'the lock folder is refreshed, not what another puts in its place',
  async () => {
    const { root, folder, victim } = await setUp()
    const open = Dir.open(root, 'a')
    if (open === undefined) throw new Error('no such sandbox')
    onTestFinished(() => open.close())
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const lock = tryDotLock(open, false)
    const path = join(folder, 'state.json.lock')
    const refreshed = statSync(path).mtimeMs
    vi.setSystemTime(Date.now() + 6000)
    vi.advanceTimersByTime(6000)
    expect(statSync(path).mtimeMs).toBeGreaterThan(refreshed)
    const { mtimeMs } = statSync(path)
    renameSync(path, join(folder, 'gone'))
    utimesSync(victim, mtimeMs / 1000, mtimeMs / 1000)
    symlinkSync(victim, path)
    const before = picture(victim)
    vi.setSystemTime(Date.now() + 6000)
    vi.advanceTimersByTime(6000)
    expect(picture(victim)).toEqual(before)
    await lock?.release()
    expect(picture(victim)).toEqual(before)
    expect(lstatSync(path).isSymbolicLink()).toBe(true)
    chmodSync(join(folder, 'gone'), 0o700)
  },
)
