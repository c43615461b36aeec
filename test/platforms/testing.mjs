// What docs/testing.md says, to be tried by vitest and Jest. Copied into projects outside of this one, as a test file.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore, StateStoreError } from 'sandbox-state'

const { vi, setTimeout, clearTimeout } = globalThis
const fakes = vi ?? import.meta.jest
const fakeDate = vi ? { toFake: ['Date'] } : { advanceTimers: true }
const passing = vi ? { shouldAdvanceTime: true } : { advanceTimers: true }
const DAY = 24 * 60 * 60 * 1000
/** Of locks, in ms. */
const TIMEOUT = 300
const LONGER_THAN_TIMEOUT = 3 * TIMEOUT

let root
let store
const children = []
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sandbox-state-testing-'))
  store = await openStore(root, { durable: false, lockTimeout: TIMEOUT })
  await store.create('a')
})
afterEach(async () => {
  fakes.useRealTimers()
  for (const child of children.splice(0)) child.kill()
  await store.close()
  rmSync(root, { recursive: true })
})

async function all(items) {
  const list = []
  for await (const item of items) list.push(item)
  return list
}

async function start(command, ...args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
}

const lockIt = () =>
  start('flock', '--no-fork', join(root, 'a', 'lock'), 'sh', '-c', 'echo locked; exec sleep 60')

/** The code of what a promise came to; `pending` if it has not settled within some ms. */
async function outcome(promise, within = 20_000) {
  let timer
  const late = new Promise(resolve => {
    timer = setTimeout(resolve, within, 'pending')
  })
  const code = await Promise.race([
    promise.then(
      () => 'done',
      error => error.code ?? error.message,
    ),
    late,
  ])
  clearTimeout(timer)
  return code
}

test('with everything faked, what waits for no other process works', async () => {
  fakes.useFakeTimers()
  const watching = store.watch()
  expect((await watching.next()).value).toMatchObject({ type: 'created', id: 'a' })
  const stopped = store.waitFor('a', 'stopped')
  await Promise.all(Array.from({ length: 50 }, (_, i) => store.create(`x${i}`)))
  await store.transition('a', 'ready', 'running')
  await store.update('a', state => ({ ...state, blockIndex: 1 }))
  await store.transition('a', 'running', 'stopped')
  expect(await stopped).toMatchObject({ state: 'stopped', blockIndex: 1 })
  expect(await all(store.list())).toHaveLength(51)
  expect(await all(store.history('a'))).toHaveLength(4)
  expect(await all(store.check())).toEqual([])
  expect(await all(store.prune({ olderThan: 0 }))).toEqual([]) // No time has passed.
  await (await store.own('x1')).release()
  await watching.return()
  await store.close()
})

test('with everything faked, a locked sandbox is waited for until the time is advanced', async () => {
  await lockIt()
  fakes.useFakeTimers()
  const change = store.update('a', state => state)
  expect(await outcome(change, LONGER_THAN_TIMEOUT)).toBe('pending')
  await fakes.advanceTimersByTimeAsync(1000)
  expect(await outcome(change)).toBe('LOCK_TIMEOUT')
})

test('with everything faked, a signal still ends a wait', async () => {
  await lockIt()
  fakes.useFakeTimers()
  const enough = new AbortController()
  const change = outcome(store.update('a', state => state, { signal: enough.signal }))
  enough.abort(new Error('enough'))
  expect(await change).toBe('enough')
})

test('with everything faked, an owner is waited for until the time is advanced', async () => {
  const command = join('node_modules', 'sandbox-state', 'dist', 'cli', 'bin.js')
  const owned = ['run', 'a', '--', 'sh', '-c', 'echo owned; exec sleep 60']
  await start(process.execPath, command, '--root', root, ...owned)
  fakes.useFakeTimers()
  const owning = store.own('a', { wait: true })
  const [supervisor] = children
  supervisor.kill()
  await once(supervisor, 'exit')
  expect(await outcome(owning, LONGER_THAN_TIMEOUT)).toBe('pending')
  await fakes.advanceTimersByTimeAsync(1000)
  await (await owning).release()
})

test.each([
  ['fakes Date', fakeDate],
  ['lets the time pass', passing],
])('with what %s, no wait hangs', async (_, options) => {
  await lockIt()
  fakes.useFakeTimers(options)
  expect(await outcome(store.update('a', state => state))).toBe('LOCK_TIMEOUT')
})

test('the age of sandboxes follows Date', async () => {
  await store.transition('a', 'ready', 'stopped')
  fakes.useFakeTimers(fakeDate)
  fakes.setSystemTime(Date.now() + 8 * DAY)
  await store.create('b')
  const [{ time }] = await all(store.history('b'))
  expect(Date.parse(time)).toBeGreaterThan(Date.now() - DAY)
  expect(await all(store.prune({ olderThan: 7 * DAY }))).toMatchObject([{ id: 'a' }])
})

test('a process that ends without a release leaves an orphan', async () => {
  await store.transition('a', 'ready', 'running')
  const program =
    "import { openStore } from 'sandbox-state'; await (await openStore(process.argv[1])).own('a')"
  execFileSync(process.execPath, ['--input-type=module', '-e', program, root])
  expect(await all(store.reap())).toMatchObject([{ id: 'a', owner: { state: 'orphaned' } }])
  const owner = await store.own('a')
  await expect(store.own('a')).rejects.toMatchObject({ code: 'OWNED' })
  await owner.release()
})

test('what the store gives is of the realm of the test', async () => {
  const error = await store.read('none').catch(thrown => thrown)
  expect(error).toBeInstanceOf(Error)
  expect(error).toBeInstanceOf(StateStoreError)
  expect(store.read('a')).toBeInstanceOf(Promise)
  const { labels } = await store.create('labelled', { labels: { team: 'shop' } })
  expect(labels).toStrictEqual({ team: 'shop' })
  const other = await openStore('/dev/null/none')
  await expect(other.create('a')).rejects.toMatchObject({ code: 'IO_ERROR', cause: { code: 'ENOTDIR' } })
})
