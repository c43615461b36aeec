import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { LOCK_EX, tryFlock } from '#src/file/posix/flock.js'
import { libc } from '#src/file/posix/libc.js'
import { all } from '../support/all.js'
import { age } from '../support/faults.js'
import { holdFlock } from '../support/flock.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const WHOLE =
  '{"state":"running","blockIndex":3,"guestMemoryBlockSize":128,"guestMemoryHotplugProbe":true,"cgroupPath":"/kata/x"}'

async function setUp() {
  const root = temporaryFolder()
  const store = await openTestStore(root, { lockTimeout: 200 })
  await store.create('good')
  mkdirSync(join(root, 'bad'))
  return { root, store, state: join(root, 'bad', 'state.json') }
}

const outside = '/etc/hostname'
const unreadable = { name: 'StateStoreError', code: expect.stringMatching(/^(CORRUPT|INVALID)_STATE$/) }

const bad: Record<string, (state: string) => void> = {
  'an empty file': path => writeFileSync(path, ''),
  null: path => writeFileSync(path, 'null'),
  'an empty object': path => writeFileSync(path, '{}'),
  'a list': path => writeFileSync(path, '[]'),
  'two states': path => writeFileSync(path, WHOLE + WHOLE),
  'an unknown state': path => writeFileSync(path, '{"state":"exploded"}'),
  'a field of another type': path => writeFileSync(path, '{"state":"ready","blockIndex":"1"}'),
  'a file of NULs': path => writeFileSync(path, Buffer.alloc(4096)),
  'bytes that are no text': path => writeFileSync(path, Buffer.from([0xff, 0xfe, 0x00, 0x80])),
  'deep JSON': path => writeFileSync(path, `{"state":"ready","x":${'['.repeat(500_000)}`),
  'a folder': path => mkdirSync(path),
  'a FIFO': path => void spawnSync('mkfifo', [path]),
  'a link to a good state': path => symlinkSync('../good/state.json', path),
  'a link to itself': path => symlinkSync('state.json', path),
  'a link to nothing': path => symlinkSync('nothing', path),
  'a link to a file elsewhere': path => symlinkSync(outside, path),
  'a file of 100 MB': path => {
    writeFileSync(path, WHOLE)
    truncateSync(path, 100_000_000)
  },
}

describe.each(Object.entries(bad))('a state file that is %s', (_, make) => {
  test('is a typed error, changes nothing, and the others are listed', async () => {
    const { root, store, state } = await setUp()
    make(state)
    const before = picture(root)
    const outsideBefore = readFileSync(outside)
    for (const call of [
      () => store.read('bad'),
      () => store.transition('bad', 'ready', 'running'),
      () => store.update('bad', current => current),
      () => store.delete('bad'),
    ]) {
      await expect(call()).rejects.toMatchObject({ ...unreadable, id: 'bad', path: state })
    }
    await expect(store.create('bad')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect(await all(store.list())).toMatchObject([
      { id: 'bad', error: unreadable },
      { id: 'good', state: { state: 'ready' } },
    ])
    expect(picture(root)).toEqual(before)
    expect(readFileSync(outside)).toEqual(outsideBefore)
  })
})

test('a state file cut off anywhere is a typed error', async () => {
  const { store, state } = await setUp()
  for (let length = 0; length < WHOLE.length; length++) {
    writeFileSync(state, WHOLE.slice(0, length))
    age(state, 1_000) // A reader waits for the rest of a fresh one.
    await expect(store.read('bad')).rejects.toMatchObject({ name: 'StateStoreError', code: 'CORRUPT_STATE' })
  }
  writeFileSync(state, WHOLE)
  expect(await store.read('bad')).toMatchObject({ state: 'running' })
})

test('a forced deletion removes a sandbox whose state cannot be read', async () => {
  const { root, store, state } = await setUp()
  writeFileSync(state, WHOLE.slice(0, 20))
  await store.delete('bad', { force: true })
  expect(readdirSync(root)).toEqual(['good'])
})

describe('a sandbox folder', () => {
  test.each([
    ['a link to a good one', (path: string) => symlinkSync('good', path)],
    ['a link to a folder elsewhere', (path: string) => symlinkSync('/tmp', path)],
    ['a file', (path: string) => writeFileSync(path, WHOLE)],
  ])('that is %s is refused, and left alone', async (_kind, make) => {
    const { root, store } = await setUp()
    rmSync(join(root, 'bad'), { recursive: true })
    make(join(root, 'bad'))
    const before = picture(root)
    for (const call of [
      () => store.create('bad'),
      () => store.read('bad'),
      () => store.transition('bad', 'ready', 'running'),
      () => store.delete('bad', { force: true }),
    ]) {
      await expect(call()).rejects.toMatchObject({
        name: 'StateStoreError',
        code: 'CORRUPT_STATE',
        id: 'bad',
      })
    }
    expect(picture(root)).toEqual(before)
    expect((await all(store.list())).at(-1)).toMatchObject({ id: 'good' })
  })

  test.each(['lock', 'history.jsonl'])('whose %s is a link: it is not followed', async name => {
    const { root, store } = await setUp()
    const victim = join(root, 'victim')
    writeFileSync(victim, 'precious')
    writeFileSync(join(root, 'bad', 'state.json'), '{"state":"ready"}')
    symlinkSync(victim, join(root, 'bad', name))
    const change = store.transition('bad', 'ready', 'running')
    if (name === 'lock') await expect(change).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
    else expect((await change).state).toBe('running')
    expect(readFileSync(victim, 'utf8')).toBe('precious')
  })

  test('whose state file is written in place by a holder of the lock, as Kata does, is read after it', async () => {
    const { store, state } = await setUp()
    writeFileSync(state, '{"sta')
    const lock = openSync(join(state, '..', 'lock'), 'w')
    expect(tryFlock(lock, LOCK_EX)).toBe(true)
    const { flock } = libc
    using asked = vi.spyOn(libc, 'flock').mockImplementationOnce((fd, operation) => {
      process.nextTick(() => {
        writeFileSync(state, '{"state":"paused"}')
        closeSync(lock)
      })
      return flock(fd, operation)
    })
    expect(await store.read('bad')).toMatchObject({ state: 'paused' })
    expect(asked.mock.calls.length).toBeGreaterThan(1)
  })

  test("whose state file is written in place without the lock, as by Kata's shim, is read after it", async () => {
    const { store, state } = await setUp()
    writeFileSync(state, '{"sta')
    const inAMinute = Date.now() / 1000 + 60
    utimesSync(state, inAMinute, inAMinute) // It stays fresh, however slow this test is.
    const { flock } = libc
    using asked = vi.spyOn(libc, 'flock').mockImplementationOnce((fd, operation) => {
      process.nextTick(() => writeFileSync(state, '{"state":"paused"}'))
      return flock(fd, operation)
    })
    writeFileSync(join(state, '..', 'lock'), '')
    expect(await store.read('bad')).toMatchObject({ state: 'paused' })
    expect(asked).toHaveBeenCalled()
  })

  test('whose state file grows while it is read is read to its end', async () => {
    const { store, state } = await setUp()
    writeFileSync(state, '{"state":"ready"}')
    const { pread } = libc
    using read = vi.spyOn(libc, 'pread').mockImplementationOnce((...given) => {
      appendFileSync(state, ' and more')
      return pread(...given)
    })
    await expect(store.read('bad')).rejects.toMatchObject({ code: 'CORRUPT_STATE' })
    read.mockClear()
    await store.read('good')
    expect(read, 'a file that does not grow takes one call').toHaveBeenCalledTimes(1)
  })

  test('whose state file stays cut off while somebody holds the lock is an error in the end', async () => {
    const { store, state } = await setUp()
    writeFileSync(state, '{"sta')
    const { pid } = await holdFlock(join(state, '..', 'lock'))
    await expect(store.read('bad')).rejects.toMatchObject({
      code: 'CORRUPT_STATE',
      id: 'bad',
      path: state,
      message: expect.stringContaining(`it may be half written: it is locked by pid ${pid}`),
    })
  })
})
