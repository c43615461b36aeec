import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { SandboxState } from 'sandbox-state'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { libc } from '#src/file/posix/libc.js'
import { effort, places } from '../support/effort.js'
import { Events } from '../support/events.js'
import { holdFlock } from '../support/flock.js'
import { nextMessage, Racers, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { PATIENCE, until } from '../support/wait.js'

async function setUp(on?: string) {
  const root = temporaryFolder(on)
  const open = async (path = root) => {
    return openTestStore(path, { durable: false, history: false })
  }
  return { root, store: await open(), open, state: (id: string) => join(root, id, 'state.json') }
}

/** A sandbox as another program would make it. */
function put(root: string, id: string, text = '{"state":"ready"}') {
  mkdirSync(join(root, id), { recursive: true })
  writeFileSync(join(root, id, 'state.json'), text)
}

/** Where a link leads; '' if it no longer exists. */
function readlinkOrNone(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/**
 * Lets no scan begin until the test ends, except by the function that it returns: what is seen without that was reported by
 * the kernel.
 */
function holdScans(): () => Promise<unknown> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  return () => vi.advanceTimersByTimeAsync(1_000)
}

describe.each(places)('a watch on $name', ({ folder }) => {
  test('begins with what is there, sorted, and goes on with what happens', async () => {
    const { store } = await setUp(folder)
    for (const id of ['b', 'a', 'c']) await store.create(id)
    const events = new Events(store)
    expect([await events.next(), await events.next(), await events.next()]).toEqual([
      'created a ready',
      'created b ready',
      'created c ready',
    ])
    await store.transition('b', 'ready', 'running')
    expect(await events.next()).toBe('changed b running')
    await store.create('d')
    expect(await events.next()).toBe('created d ready')
    await store.update('a', state => ({ ...state, blockIndex: 5 }))
    expect(await events.next()).toBe('changed a ready')
    expect(events.all.at(-1)).toMatchObject({ state: { blockIndex: 5 }, previous: { blockIndex: 0 } })
    await store.delete('c')
    expect(await events.next()).toBe('deleted c')
    expect(events.all.at(-1)).toMatchObject({ previous: { state: 'ready' } })
    await store.create('end')
    expect(await events.next()).toBe('created end ready')
  })

  test('follows one sandbox or all, whichever process changes them', async () => {
    const { store, root } = await setUp(folder)
    await store.create('a')
    await store.create('b')
    const one = new Events(store, { id: 'a' })
    const all = new Events(store)
    expect(await one.next()).toBe('created a ready')
    expect([await all.next(), await all.next()]).toEqual(['created a ready', 'created b ready'])
    const racer = await Racers.start(1)
    onTestFinished(() => racer.end())
    for (const id of ['b', 'a']) {
      expect(await racer.race({ root, id, what: 'transition' })).toMatchObject([[{ ok: true }]])
    }
    expect([await all.next(), await all.next()]).toEqual(['changed b running', 'changed a running'])
    expect(await one.next()).toBe('changed a running')
  })

  test('reports what anybody does to the files', async () => {
    const { store, root, state } = await setUp(folder)
    put(root, 'a')
    const events = new Events(store)
    expect(await events.next()).toBe('created a ready')
    writeFileSync(state('a'), '{"state":"running"}')
    expect(await events.next()).toBe('changed a running')
    writeFileSync(`${state('a')}.new`, '{"state":"paused"}')
    renameSync(`${state('a')}.new`, state('a'))
    expect(await events.next()).toBe('changed a paused')
    unlinkSync(state('a'))
    expect(await events.next()).toBe('deleted a')
    writeFileSync(state('a'), '{"state":"stopped"}')
    expect(await events.next()).toBe('created a stopped')
    rmSync(join(root, 'a'), { recursive: true })
    expect(await events.next()).toBe('deleted a')
    put(root, 'a')
    expect(await events.next()).toBe('created a ready')
    renameSync(join(root, 'a'), join(root, 'z'))
    expect([await events.next(), await events.next()].sort()).toEqual(['created z ready', 'deleted a'])
    writeFileSync(state('z'), '{"state":"running"}')
    expect(await events.next()).toBe('changed z running')
    put(root, 'end')
    expect(await events.next()).toBe('created end ready')
  })

  test('follows a folder that was removed and made again at once', async () => {
    holdScans()
    const { store, root, state } = await setUp(folder)
    put(root, 'a')
    const events = new Events(store)
    const one = new Events(store, { id: 'a' })
    for (const watch of [events, one]) expect(await watch.next()).toBe('created a ready')
    for (const now of ['paused', 'running', 'stopped']) {
      rmSync(join(root, 'a'), { recursive: true })
      put(root, 'a', `{"state":"${now}"}`)
      for (const watch of [events, one]) expect(await watch.next()).toBe(`changed a ${now}`)
      writeFileSync(state('a'), '{"state":"ready"}')
      for (const watch of [events, one]) expect(await watch.next()).toBe('changed a ready')
    }
  })

  test('waits for a root that does not exist, and follows it through deletion, return and exchange', async () => {
    const { root, open } = await setUp(folder)
    const later = join(root, 'not', 'yet', 'there')
    const store = await open(later)
    const events = new Events(store)
    const one = new Events(store, { id: 'a' })
    const both = [events, one]
    await nextTurn() // Both wait by now.
    for (const round of [1, 2]) {
      await store.create('a')
      for (const watch of both) expect(await watch.next()).toBe('created a ready')
      await store.transition('a', 'ready', 'stopped')
      for (const watch of both) expect(await watch.next()).toBe('changed a stopped')
      rmSync(round === 1 ? later : join(root, 'not'), { recursive: true })
      for (const watch of both) expect(await watch.next()).toBe('deleted a')
    }
    put(join(root, 'other'), 'a', '{"state":"paused"}')
    mkdirSync(join(root, 'not', 'yet'), { recursive: true })
    renameSync(join(root, 'other'), later)
    for (const watch of both) expect(await watch.next()).toBe('created a paused')
    put(join(root, 'other'), 'a', '{"state":"running"}')
    renameSync(later, join(root, 'old'))
    renameSync(join(root, 'other'), later)
    for (const watch of both) expect(await watch.next()).toBe('changed a running')
    writeFileSync(join(later, 'a', 'state.json'), '{"state":"ready"}')
    for (const watch of both) expect(await watch.next()).toBe('changed a ready')
  })

  test('notices each change without a scan', async () => {
    holdScans()
    const { store, root, state } = await setUp(folder)
    for (let i = 0; i < 100; i++) put(root, `s${i}`)
    const events = new Events(store)
    for (let i = 0; i < 100; i++) await events.next()
    for (let i = 0; i < 60; i++) {
      writeFileSync(state(`s${i}`), `{"state":"running","blockIndex":${i}}`)
      expect(await events.next()).toBe(`changed s${i} running`)
    }
  })
})

describe('what is no state', () => {
  test('a file that is damaged while it is watched is an error event, and the watch goes on', async () => {
    const { store, root, state } = await setUp()
    put(root, 'a')
    put(root, 'b', 'never a state')
    const events = new Events(store)
    expect([await events.next(), await events.next()]).toEqual(['created a ready', 'error b CORRUPT_STATE'])
    writeFileSync(state('a'), '{"state"')
    expect(await events.next()).toBe('error a CORRUPT_STATE')
    expect(events.all.at(-1)).toMatchObject({ previous: { state: 'ready' }, error: { path: state('a') } })
    writeFileSync(state('a'), '{"state":"exploded"}')
    expect(await events.next()).toBe('error a INVALID_STATE')
    writeFileSync(state('b'), '{"state":"running"}')
    expect(await events.next()).toBe('created b running')
    writeFileSync(state('a'), '{"state":"stopped"}')
    expect(await events.next()).toBe('changed a stopped')
    unlinkSync(state('a'))
    mkdirSync(state('a'))
    while ((await events.next()) !== 'error a CORRUPT_STATE');
  })

  test('a state that is too long to be written is an event like any other', async () => {
    const { store, root, state } = await setUp()
    const long = (last: string) => `{"state":"ready","cgroupPath":"${'<'.repeat(400_000)}${last}"}`
    put(root, 'a', long('1'))
    put(root, 'b')
    const events = new Events(store)
    expect([await events.next(), await events.next()]).toEqual(['created a ready', 'created b ready'])
    writeFileSync(`${state('a')}.new`, long('2'))
    renameSync(`${state('a')}.new`, state('a'))
    expect(await events.next()).toBe('changed a ready')
  })

  test('an error that lasts is reported once', async () => {
    const scan = holdScans()
    const { store, root } = await setUp()
    put(root, 'a', '{')
    const events = new Events(store)
    expect(await events.next()).toBe('error a CORRUPT_STATE')
    for (const id of ['b', 'c']) {
      await scan()
      put(root, id)
      expect(await events.next()).toBe(`created ${id} ready`)
    }
  })

  test('other files, folders without a state and names that are not ids are ignored; a link is an error', async () => {
    const { store, root } = await setUp()
    writeFileSync(join(root, 'file'), '')
    mkdirSync(join(root, 'empty'))
    put(root, '.hidden')
    put(root, 'good')
    symlinkSync('good', join(root, 'link'))
    const events = new Events(store)
    expect([await events.next(), await events.next()]).toEqual([
      'created good ready',
      'error link CORRUPT_STATE',
    ])
    writeFileSync(join(root, 'later'), '')
    put(root, '.later')
    mkdirSync(join(root, 'void'))
    put(root, 'rust', '{"sandbox_type":"x"}')
    symlinkSync('good', join(root, 'more'))
    expect(await events.next()).toBe('error more CORRUPT_STATE')
    rmSync(join(root, 'good'), { recursive: true })
    writeFileSync(join(root, 'good'), '')
    expect(await events.next()).toBe('deleted good')
    symlinkSync('good', join(root, 'end')) // Rechecked as often as the others, so a false event of theirs would come before.
    expect(await events.next()).toBe('error end CORRUPT_STATE')
  })

  test('a file that is written in place in two goes is no error', async () => {
    const { store, root, state } = await setUp()
    put(root, 'a')
    const events = new Events(store)
    await events.next()
    using read = vi.spyOn(libc, 'pread')
    for (let i = 0; i < 50; i++) {
      read.mockClear()
      writeFileSync(state('a'), '{"state":"running",')
      await until('the first half is read', () => read.mock.calls.length > 0)
      appendFileSync(state('a'), `"blockIndex":${i}}`)
      if (i % 2 === 0) continue
      expect(await events.next()).toBe('changed a running')
      expect(events.all.at(-1)).toMatchObject({ state: { blockIndex: i } })
    }
  })

  test('a file that is written in place slowly, under the lock as Kata does, is no error', async () => {
    const { store, state } = await setUp()
    await store.create('a')
    const events = new Events(store)
    await events.next()
    const writer = await holdFlock(join(state('a'), '..', 'lock'))
    using flock = vi.spyOn(libc, 'flock')
    writeFileSync(state('a'), '{"state":')
    // An error is reported after the third recheck, each of which takes and releases the lock once unless it waits.
    await until('a recheck waits for the lock', () => flock.mock.calls.length > 6)
    appendFileSync(state('a'), '"running"}')
    await writer.release()
    expect(await events.next()).toBe('changed a running')
  })
})

describe('one place that cannot be read', () => {
  test.skipIf(process.getuid?.() !== 0 || process.platform !== 'linux').each(['user', 'EUCLEAN', 'EIO'])(
    'is an error of that sandbox, and the watch goes on: %s',
    async damage => {
      const { root, state } = await setUp()
      chmodSync(root, 0o755)
      for (const id of ['bad', 'good']) put(root, id)
      chmodSync(join(root, 'bad'), 0o444)
      const watcher = startProgram('damaged', [root, damage])
      const events: string[] = []
      watcher.on('message', event => events.push(String(event)))
      await vi.waitFor(() => expect(events).toEqual(['created good', 'error bad IO_ERROR']), PATIENCE)
      for (let i = 0; i < 3; i++) {
        writeFileSync(state('good'), `{"state":"running","blockIndex":${i}}`)
        await vi.waitFor(() => expect(events.length).toBe(3 + i), PATIENCE)
      }
      expect(events.slice(2)).toEqual(Array(3).fill('changed good'))
      chmodSync(join(root, 'bad'), 0o755)
      if (damage === 'user') await vi.waitFor(() => expect(events[5]).toBe('created bad'), PATIENCE)
      expect(watcher.exitCode).toBeNull()
    },
  )

  test('a root with 500 of them loses no event of the others', async () => {
    const { store, root, state } = await setUp()
    for (let i = 0; i < 500; i++) put(root, `bad${i}`, '{')
    put(root, 'good')
    const events = new Events(store)
    for (let i = 0; i < 501; i++) await events.next()
    expect(new Set(events.all.map(({ type, id }) => `${type} ${id}`)).size).toBe(501)
    writeFileSync(state('good'), '{"state":"running"}')
    expect(await events.next()).toBe('changed good running')
    for (let i = 0; i < 500; i++) writeFileSync(state(`bad${i}`), '{"state":"paused"}')
    const created = new Set<string>()
    for (let i = 0; i < 500; i++) created.add(await events.next())
    expect(created.size).toBe(500)
  })
})

describe("the consumer's own context", () => {
  test('loops and waits run in it, no matter who makes the change and who ends them', async () => {
    const { store, state } = await setUp()
    for (const id of ['a', 'b', 'done']) await store.create(id)
    const storage = new AsyncLocalStorage<string>()
    const seen: string[] = []
    const ended = new AbortController()
    const watching = ['a', 'b'].flatMap(id =>
      storage.run(id, () => [
        (async () => {
          for await (const event of store.watch({ signal: ended.signal })) {
            seen.push(`${storage.getStore()} sees ${event.id} ${event.type}`)
          }
          seen.push(`${storage.getStore()} ended`)
        })(),
        store.waitFor('done', 'stopped').then(() => seen.push(`${storage.getStore()} waited`)),
      ]),
    )
    await until('all have begun', () => seen.length === 6)
    await storage.run('writer', () => store.transition('a', 'ready', 'running'))
    writeFileSync(state('b'), '{')
    await storage.run('writer', () => store.transition('done', 'ready', 'stopped'))
    await until('all have seen the changes', () => seen.length === 14)
    storage.run('writer', () => ended.abort())
    await Promise.all(watching)
    const all = ['a created', 'b created', 'done created', 'a changed', 'b error', 'done changed']
    const expected = ['a', 'b'].flatMap(own => [
      ...all.map(event => `${own} sees ${event}`),
      `${own} waited`,
      `${own} ended`,
    ])
    expect(seen.sort()).toEqual(expected.sort())
  })
})

describe('the end of a watch', () => {
  test.skipIf(process.platform !== 'linux').each(['abort', 'close'])(
    '%s ends what waits at once, also while an unreadable file is locked',
    async way => {
      const { store, root, state } = await setUp()
      await store.create('a')
      const controller = new AbortController()
      const { signal } = controller
      const events = store.watch({ signal })
      await events.next()
      await holdFlock(join(root, 'a', 'lock'))
      writeFileSync(state('a'), '{')
      const open = new Set(['watch', 'wait'])
      const next = events.next().finally(() => open.delete('watch'))
      const wait = store.waitFor('a', 'stopped', { signal }).finally(() => open.delete('wait'))
      wait.catch(() => {})
      const openFiles = () => readdirSync('/proc/self/fd').map(fd => readlinkOrNone(`/proc/self/fd/${fd}`))
      await until('a recheck waits for the lock', () => openFiles().includes(join(root, 'a')))
      expect(open.size).toBe(2)
      if (way === 'abort') controller.abort()
      else void store.close()
      for (let turn = 0; turn < 3; turn++) await nextTurn()
      expect(open).toEqual(new Set())
      expect(await next).toEqual({ done: true, value: undefined })
      await expect(wait).rejects.toThrow()
    },
  )

  test.skipIf(process.platform !== 'linux')(
    'leaves no descriptor and no watch of the kernel behind',
    async () => {
      const { store, root, open } = await setUp()
      const held = () =>
        readdirSync('/proc/self/fd')
          .filter(fd => readlinkOrNone(`/proc/self/fd/${fd}`) !== '')
          .map(
            fd => `${fd} ${readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/inotify/g)?.length ?? 0}`,
          )
      for (let i = 0; i < 300; i++) put(root, `s${i}`, i < 5 ? '{' : undefined)
      symlinkSync('s0', join(root, 'link'))
      const follow = async () => {
        const one = new AbortController()
        const watches = [
          new Events(store, { signal: one.signal }),
          new Events(store, { id: 's7', signal: one.signal }),
          new Events(store, { id: 'none', signal: one.signal }),
          new Events(await open(join(root, 'not', 'there')), { signal: one.signal }),
        ]
        const untilSeen = (count: number) => until(`${count} events`, () => watches[0]?.all.length === count)
        await untilSeen(301)
        for (const id of ['s7', 's8']) rmSync(join(root, id), { recursive: true })
        await untilSeen(303)
        for (const id of ['s7', 's8']) put(root, id)
        await untilSeen(305)
        one.abort()
        await Promise.all(watches.map(({ ended }) => ended))
      }
      await follow() // The first one opens what Node keeps.
      await vi.waitFor(() => expect(held().filter(text => / [1-9]/.test(text))).toEqual([]), PATIENCE)
      const before = held()
      await follow()
      await vi.waitFor(() => expect(held()).toEqual(before), PATIENCE)
    },
  )

  test('leaves nothing that would keep the program alive', async () => {
    const { store, root } = await setUp()
    await store.create('a')
    const program = fileURLToPath(new URL('../programs/leaver.mjs', import.meta.url))
    const ended = spawnSync(process.execPath, [program, root], { encoding: 'utf8', timeout: PATIENCE })
    expect(ended).toMatchObject({ status: 0, stderr: '' })
    const ways = ended.stdout.trimEnd().split('\n')
    expect(ways).toHaveLength(10)
    for (const way of ways) expect(way).toMatch(/: nothing$/)
  })

  test('an aborted signal and a closed store', async () => {
    const { store } = await setUp()
    await store.create('a')
    expect(await store.watch({ signal: AbortSignal.abort() }).next()).toEqual({
      done: true,
      value: undefined,
    })
    await expect(store.watch({ id: '..' }).next()).rejects.toMatchObject({ code: 'INVALID_ID' })
    const events = store.watch()
    expect((await events.next()).value).toMatchObject({ type: 'created' })
    await store.close()
    expect((await events.next()).done).toBe(true)
    await expect(store.watch().next()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('a root that is no folder is an error at once', async () => {
    const { root, open } = await setUp()
    writeFileSync(join(root, 'file'), '')
    const store = await open(join(root, 'file'))
    await expect(store.watch().next()).rejects.toMatchObject({ code: 'IO_ERROR' })
  })
})

describe('when much happens at once', () => {
  test('a loop that asks seldom gets the last state of each sandbox, and little else', async () => {
    const { store, root, state } = await setUp(filesystems[0]?.folder)
    const ids = Array.from({ length: 100 }, (_, i) => `s${i}`)
    for (const id of ids) put(root, id)
    const events = store.watch()
    onTestFinished(async () => void (await events.return()))
    for (const _ of ids) await events.next()
    for (let i = 1; i <= 20; i++) {
      for (const id of ids) writeFileSync(state(id), `{"state":"running","blockIndex":${i}}`)
      await nextTurn()
    }
    const last = new Map<string, number>()
    let count = 0
    while ([...last.values()].filter(index => index === 20).length < ids.length) {
      const { value } = await events.next()
      if (value === undefined || !('state' in value)) throw new Error(JSON.stringify(value))
      last.set(value.id, value.state.blockIndex)
      count++
    }
    expect(count).toBeLessThanOrEqual(2 * ids.length)
  })

  test('what the kernel lost in a burst is found', { timeout: 60_000 }, async () => {
    const { store, root, state } = await setUp(filesystems[0]?.folder)
    const ids = Array.from({ length: 1_000 }, (_, i) => `s${i}`)
    for (const id of ids) put(root, id)
    const events = new Events(store)
    for (const _ of ids) await events.next()
    // More than its queue holds, while this thread has no time to listen; the last ones are lost.
    for (let i = 1; i <= 20; i++) {
      for (const id of ids) writeFileSync(state(id), `{"state":"running","blockIndex":${i}}`)
    }
    for (const id of ids.slice(-100)) rmSync(join(root, id), { recursive: true })
    put(root, 'new')
    const last = (id: string) => events.all.findLast(event => event.id === id)
    const isLast = (id: string, i: number) =>
      i < 900
        ? JSON.stringify(last(id)).includes('"state":{"state":"running","blockIndex":20,')
        : last(id)?.type === 'deleted'
    await until('the last event of each has come', () => last('new') !== undefined && ids.every(isLast))
    expect(last('new')).toMatchObject({ type: 'created' })
  })

  test('many sandboxes, and a change of each in one burst', { timeout: 120_000 }, async () => {
    const root = temporaryFolder(filesystems[0]?.folder)
    const ids = Array.from({ length: effort(1_000, 10_000) }, (_, i) => `s${i}`)
    for (const id of ids) put(root, id)
    const { report, follower } = await follow(root)
    await until('all are seen', async () => (await report()).counts.created === ids.length, 60_000)
    for (const id of ids) {
      const path = join(root, id, 'state.json')
      writeFileSync(`${path}.1`, `{"state":"running","blockIndex":${id.slice(1)}}`)
      renameSync(`${path}.1`, path)
    }
    await until('all changes are seen', async () => (await report()).counts.changed === ids.length, 60_000)
    const { last, counts, memory } = await report()
    expect(ids.filter(id => last[id]?.blockIndex !== Number(id.slice(1)))).toEqual([])
    expect(counts).toEqual({ created: ids.length, changed: ids.length, deleted: 0, error: 0 })
    expect(memory).toBeLessThan(300e6)
    follower.send('end')
    expect(await once(follower, 'exit')).toEqual([0, null])
  })
})

/** What test/programs/follower.mjs reports. */
interface Report {
  readonly last: Record<string, SandboxState | null>
  readonly counts: Record<'created' | 'changed' | 'deleted' | 'error', number>
  readonly memory: number
}

async function follow(root: string) {
  const follower = startProgram('follower', [root])
  await nextMessage(follower)
  const report = async () => {
    follower.send('report')
    return (await nextMessage(follower)) as Report
  }
  return { follower, report }
}

describe('where the system allows too few watches', () => {
  const limits = ['max_inotify_watches', 'max_inotify_instances']
  const allowed = (limit: string) =>
    spawnSync('unshare', ['--user', '--map-root-user', 'sh', '-c', `echo 0 > /proc/sys/user/${limit}`])
      .status === 0

  const sizes: [number, string, ...string[]][] = [
    [1_000, 'all'],
    [1_000, 'one', 'none'],
    [3_000, 'all'],
    [10_000, 'all'],
  ]
  test.each(sizes.slice(0, effort(2, 4)))(
    'scans go on, and look at few files in a second: %d sandboxes, %s watched',
    async (count, _, ...only) => {
      const { root } = await setUp(filesystems[0]?.folder)
      for (let i = 0; i < count; i++) put(root, `s${i}`)
      const looks = await nextMessage(startProgram('unwatched', [root, ...only]))
      // In the 100 s of the program's clock 5,000,000 would fit.
      expect(looks).toBeLessThan(250_000)
      expect(looks).toBeGreaterThan(only.length === 0 ? 50_000 : 1_000)
    },
  )

  test.skipIf(!limits.every(allowed)).each([
    ['max_inotify_watches', 0],
    ['max_inotify_watches', 10],
    ['max_inotify_instances', 0],
  ])('%s = %d: changes are found by looking', async (limit, most) => {
    const { root, state } = await setUp()
    const ids = Array.from({ length: 20 }, (_, i) => `s${i}`)
    for (const id of ids) put(root, id)
    const program = `
      import { openStore } from 'sandbox-state'
      const store = await openStore(process.argv[1])
      for await (const { type, id, state } of store.watch()) console.log(type, id, state?.state)`
    const script = `echo ${most} > /proc/sys/user/${limit} && exec "$@"`
    const node = [process.execPath, '--input-type=module', '-e', program, root]
    const child = spawn('unshare', ['--user', '--map-root-user', 'sh', '-c', script, 'sh', ...node], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let printed = ''
    child.stdout.on('data', data => {
      printed += data
    })
    const untilPrinted = (line: string) => until(line, () => printed.includes(`${line}\n`))
    for (const id of ids) await untilPrinted(`created ${id} ready`)
    for (const id of ids.slice(15)) {
      writeFileSync(state(id), '{"state":"running"}')
      await untilPrinted(`changed ${id} running`)
    }
    put(root, 'new')
    await untilPrinted('created new ready')
    rmSync(join(root, 's0'), { recursive: true })
    await untilPrinted('deleted s0 undefined')
  })
})

test('reading and watching leave the files as they are', async () => {
  const scan = holdScans()
  const { store, root, state } = await setUp()
  put(root, 'a')
  const before = readFileSync(state('a'))
  await new Events(store).next()
  await scan()
  expect(readFileSync(state('a'))).toEqual(before)
  expect(spawnSync('ls', ['-A', join(root, 'a')], { encoding: 'utf8' }).stdout).toBe('state.json\n')
})
