import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect, promisify } from 'node:util'
import { copyStore, openStore, type SandboxStore, type StoreOptions } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { describeContract } from './contract.js'
import { describeDataContract } from './contract-data.js'
import { describeOwnerContract } from './contract-owner.js'
import { all } from './support/all.js'
import { places } from './support/effort.js'
import { picture } from './support/picture.js'
import { filesystems, temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'
import { PATIENCE } from './support/wait.js'

for (const { name, folder } of places) {
  describeContract(name, () => temporaryFolder(folder))
  describeDataContract(name, () => temporaryFolder(folder))
  describeOwnerContract(name, () => temporaryFolder(folder))
}

test('opening, reading and listing make nothing', async () => {
  const root = join(temporaryFolder(), 'not', 'there')
  const store = await openTestStore(root)
  await expect(store.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(store.delete('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await all(store.list())).toEqual([])
  expect(existsSync(root)).toBe(false)
  await store.create('a')
  expect(existsSync(join(root, 'a', 'state.json'))).toBe(true)
})

test.each<[unknown, unknown]>([
  ['', {}],
  ['a\0b', {}],
  [undefined, {}],
  ['ftp://a', {}],
  ['/tmp', null],
  ['/tmp', { lockTimeout: -1 }],
  ['/tmp', { lockTimeout: Number.NaN }],
  ['/tmp', { lockTimeout: '1' }],
  ['/tmp', { durable: 'yes' }],
  ['/tmp', { history: 1 }],
  ['/tmp', { lockTimout: 1 }],
])('openStore(%j, %j) is a TypeError', async (root, options) => {
  await expect(openStore(root as string, options as StoreOptions)).rejects.toBeInstanceOf(TypeError)
})

describe('a loop that awaits nothing but the store lets the event loop turn:', () => {
  const ignored = () => {}
  const calls: Readonly<Record<string, (store: SandboxStore) => Promise<unknown>>> = {
    update: store => store.update('a', state => state),
    'a transition that is refused': store => store.transition('a', 'running', 'paused').catch(ignored),
    'a create that is refused': store => store.create('a').catch(ignored),
    'a delete of nothing': store => store.delete('b').catch(ignored),
    read: store => store.read('a'),
    'a read of nothing': store => store.read('b').catch(ignored),
    list: store => all(store.list()),
    history: store => all(store.history('a')),
    'the history of nothing': store => all(store.history('b')).catch(ignored),
    locks: store => all(store.locks()),
    check: store => all(store.check()),
    repair: store => store.repair(),
  }

  test.each(Object.entries(calls))('%s', async (_, call) => {
    const store = await openTestStore(temporaryFolder(filesystems[0]?.folder), { lockTimeout: 0 })
    await store.create('a')
    expect(await letsTimersRun(() => call(store))).toBe(true)
  })

  test.each(['list', 'locks', 'check'])('%s of nothing', async name => {
    const store = await openTestStore(join(temporaryFolder(), 'not', 'there'))
    expect(await letsTimersRun(async () => calls[name]?.(store))).toBe(true)
  })
})

test.each(['list', 'watch'] as const)(
  'a slow schema keeps no %s from letting the event loop turn',
  async name => {
    const root = temporaryFolder(filesystems[0]?.folder)
    const plain = await openTestStore(root, { durable: false, history: false })
    for (let i = 0; i < 30; i++) await plain.create(`s${i}`)
    let [inTurn, most, ended] = [0, 0, false]
    const validate = (value: unknown) => {
      most = Math.max(most, ++inTurn)
      const end = performance.now() + 6
      while (performance.now() < end);
      return { value }
    }
    const store = await openTestStore(root, {
      data: { '~standard': { version: 1, vendor: 'slow', validate } },
    })
    const nextTurn = () => {
      inTurn = 0
      if (!ended) setImmediate(nextTurn)
    }
    nextTurn()
    let seen = 0
    for await (const _ of store[name]()) if (++seen === 30) break
    ended = true
    expect(most).toBeLessThanOrEqual(2)
  },
)

/** Repeats a call until a timer has fired six times, which it never does if the event loop does not turn. */
async function letsTimersRun(call: () => Promise<unknown>): Promise<boolean> {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const giveUp = performance.now() + PATIENCE
  while (turns < 6 && performance.now() < giveUp) await call()
  clearInterval(timer)
  return turns >= 6
}

describe('an option that does not exist', () => {
  const calls: Record<string, (store: SandboxStore, options: never) => Promise<unknown>> = {
    delete: (store, options) => store.delete('a', options),
    list: async (store, options) => all(store.list(options)),
    watch: async (store, options) => store.watch(options).next(),
    waitFor: (store, options) => store.waitFor('a', 'deleted', options),
    locks: async (store, options) => all(store.locks(options)),
    check: async (store, options) => all(store.check(options)),
    repair: (store, options) => store.repair(options),
    copyStore: (store, options) => copyStore(store, store, options),
  }

  test.each(Object.entries(calls))('is refused by %s, which then does nothing', async (_, call) => {
    const root = temporaryFolder()
    const store = await openTestStore(root)
    mkdirSync(join(root, 'a'))
    writeFileSync(join(root, 'a', 'state.json'), 'torn')
    const before = picture(root)
    for (const options of [{ dryrun: true }, { Force: true }, null, 'force']) {
      await expect(call(store, options as never)).rejects.toThrow(TypeError)
    }
    expect(picture(root)).toEqual(before)
  })
})

test.each([1, {}, 'signal', null])(
  'a signal that is %j is refused, and not only once it would be used',
  async signal => {
    const store = await openTestStore(temporaryFolder())
    const options = { signal: signal as never }
    expect(() => store.watch(options)).toThrow(/^signal must be an AbortSignal, not /)
    for (const call of [store.waitFor('a', 'deleted', options), copyStore(store, store, options)]) {
      await expect(call).rejects.toThrow(/^signal must be an AbortSignal, not /)
    }
  },
)

test('an error that is printed shows only what it is about', async () => {
  const store = await openTestStore(temporaryFolder())
  const error = await store.read('a').catch((error: unknown) => error)
  expect(Object.entries(error as object)).toEqual(
    expect.arrayContaining([
      ['code', 'NOT_FOUND'],
      ['id', 'a'],
    ]),
  )
  expect(inspect(error)).not.toContain('undefined')
})

test.each(places)('the stack of an error leads to the line that called, on $name', async ({ folder }) => {
  const limit = Error.stackTraceLimit
  const root = temporaryFolder(folder)
  const store = await openTestStore(root)
  await store.create('a')
  mkdirSync(join(root, 'corrupt'))
  writeFileSync(join(root, 'corrupt', 'state.json'), '{')
  const unusable = await openTestStore(join(root, 'corrupt', 'state.json'))
  const calls: readonly (() => Promise<unknown>)[] = [
    () => unusable.create('a'),
    () => unusable.read('a'),
    () => unusable.waitFor('a', 'ready'),
    () => unusable.repair(),
    () => all(unusable.list()),
    () => all(unusable.watch()),
    () => all(unusable.history('a')),
    () => all(unusable.locks()),
    () => all(unusable.check()),
    () => store.waitFor('corrupt', 'ready'),
    () => store.transition('corrupt', 'ready', 'running'),
    () => store.create('a'),
    () => store.create('b', { blockIndex: 'x' as never }),
    () => store.transition('a', 'running', 'stopped'),
    () => store.update('a', state => ({ ...state, blockIndex: 'x' as never })),
    () => store.delete('b'),
    () => store.read('b'),
    () => store.waitFor('b', 'ready'),
    () => all(store.history('b')),
  ]
  for (const call of calls) {
    async function callTheStore() {
      await call()
    }
    const error: Error = await callTheStore().catch(error => error)
    expect(error.stack, String(call)).toContain('callTheStore')
    expect(error.stack?.split('\n').at(-1), `${call} ends in the program`).not.toContain('/dist/store.js')
    expect(inspect(error).split(error.message), `${call}: the message is shown once`).toHaveLength(2)
  }
  expect(Error.stackTraceLimit).toBe(limit)
})

test('the stack of an error leads there also when the intrinsics are frozen', async () => {
  const program = `
    const store = await openStore(process.argv[1])
    await store.create('a')
    async function callTheStore() {
      await store.update('a', state => ({ ...state, blockIndex: 'x' }))
    }
    console.log((await callTheStore().catch(error => error)).stack)
    await store.close()`
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--frozen-intrinsics',
    '--input-type=module',
    '--eval',
    `import { openStore } from 'sandbox-state'\n${program}`,
    temporaryFolder(),
  ])
  expect(stdout).toContain('StateStoreError: sandbox a: blockIndex must be ')
  expect(stdout).toContain('callTheStore')
})

test('an error as JSON has its message', async () => {
  const store = await openTestStore(temporaryFolder())
  const error = await store.read('a').catch(error => error)
  expect(JSON.parse(JSON.stringify(error))).toEqual({ code: 'NOT_FOUND', message: error.message, id: 'a' })
})

test('what is printed of a store holds no password', async () => {
  const store = await openTestStore('etcd://127.0.0.1:1', { etcd: { user: 'u', password: 'secret' } })
  expect(inspect(store, { depth: 20, showHidden: true })).not.toContain('secret')
})

test('waitFor names deleted among what it can wait for', async () => {
  const store = await openTestStore(temporaryFolder())
  await expect(store.waitFor('a', 'gone' as never)).rejects.toThrow(/stopped or deleted$/)
})

test('the first calls of a process take effect in their order, too', async () => {
  const program = fileURLToPath(new URL('programs/cold-start.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program, temporaryFolder()])
  expect(stdout).toBe('ready,running,stopped\n')
})
