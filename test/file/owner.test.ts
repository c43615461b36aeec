import { type ChildProcess, spawnSync } from 'node:child_process'
import { tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import lockfile from 'proper-lockfile'
import { CHANGE_CHANNEL, type ChangeTrace, copyStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { LOCK_EX, tryFlock, unlockAndClose } from '#src/file/posix/flock.js'
import { libc } from '#src/file/posix/libc.js'
import { all } from '../support/all.js'
import { places } from '../support/effort.js'
import { holdFlock } from '../support/flock.js'
import { own, ownershipOf } from '../support/owner.js'
import { isRunning, killProgram, nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { settled, until } from '../support/wait.js'

async function setUp(on?: string, ids: readonly string[] = ['a']) {
  const root = temporaryFolder(on)
  const store = await openTestStore(root)
  for (const id of ids) {
    await store.create(id)
    await store.transition(id, 'ready', 'running')
  }
  return { root, store, file: (id: string) => join(root, id, 'owner') }
}

async function startOwner(root: string, ...nodeOptions: string[]): Promise<ChildProcess> {
  const program = startProgram('owner', [root], { execArgv: nodeOptions })
  await nextMessage(program)
  return program
}

/** Has a program do something that gives a pid, which is killed with the test at the latest. */
async function tell(program: ChildProcess, what: string, id = 'a'): Promise<number> {
  const answer = nextMessage(program)
  program.send([what, id])
  const { result } = (await answer) as { result?: number }
  if (result === undefined) throw new Error(`${what} failed: ${JSON.stringify(await answer)}`)
  onTestFinished(() => kill(result))
  return result
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

async function endPid(pid: number): Promise<void> {
  kill(pid)
  await until(`${pid} has ended`, () => !isRunning(pid))
}

/** As a process left it that owned the sandbox and was killed. */
async function orphan(root: string, ...ids: string[]): Promise<number | undefined> {
  const program = await startOwner(root)
  for (const id of ids) await tell(program, 'own', id)
  await killProgram(program)
  return program.pid
}

describe.each(places)('ownership on $name', ({ folder }) => {
  test('unowned, owned, released, orphaned: in list, inspect and the file', async () => {
    const { root, store, file } = await setUp(folder)
    expect((await store.inspect('a')).owner).toBeNull()
    expect(await all(store.list())).toEqual([expect.not.objectContaining({ owner: expect.anything() })])
    const owner = await own(store)
    const { pid } = process
    const shown = { state: 'owned', pid, host: hostname(), since: expect.stringMatching(/^\d{4}-.*Z$/) }
    expect((await store.inspect('a')).owner).toMatchObject(shown)
    expect(await all(store.list())).toMatchObject([{ id: 'a', owner: shown }])
    expect(statSync(file('a')).mode & 0o7777).toBe(0o600)
    expect(readFileSync(file('a'), 'utf8')).toMatch(/^\{"held":true ,"pid":\d+,.*\} *\n$/)
    await owner.release()
    expect(owner.fd).toBe(-1)
    expect(owner.signal.aborted).toBe(false)
    expect(readFileSync(file('a'), 'utf8')).toMatch(/^\{"held":false,/)
    expect((await store.inspect('a')).owner).toBeNull()
    const dead = await orphan(root, 'a')
    expect((await store.inspect('a')).owner).toMatchObject({ ...shown, state: 'orphaned', pid: dead })
    expect(await all(store.orphans())).toMatchObject([{ id: 'a', owner: { state: 'orphaned', pid: dead } }])
  })

  test('list filters by it', async () => {
    const { root, store } = await setUp(folder, ['dead', 'mine', 'none'])
    await orphan(root, 'dead')
    await own(store, 'mine')
    const ids = async (owner: 'owned' | 'orphaned' | 'unowned') =>
      (await all(store.list({ owner }))).map(({ id }) => id)
    expect(await ids('owned')).toEqual(['mine'])
    expect(await ids('orphaned')).toEqual(['dead'])
    expect(await ids('unowned')).toEqual(['none'])
    expect(() => store.list({ owner: 'me' as 'owned' })).toThrow(TypeError)
  })

  test('a second owner is refused, and is given the name of the first', async () => {
    const { root, store } = await setUp(folder)
    const program = await startOwner(root)
    await tell(program, 'own')
    const message = new RegExp(
      `^sandbox a is owned by pid ${program.pid} \\(node owner.mjs\\) on .* since \\d`,
    )
    await expect(store.own('a')).rejects.toMatchObject({
      code: 'OWNED',
      id: 'a',
      message: expect.stringMatching(message),
    })
    await tell(program, 'release')
    await own(store)
    await expect(store.own('a')).rejects.toMatchObject({ code: 'OWNED' })
  })

  test('a child that inherits it keeps it when the owner is killed, and its end is the end at once', async () => {
    const { root, store } = await setUp(folder)
    const program = await startOwner(root)
    await tell(program, 'own')
    const child = await tell(program, 'hand over')
    await killProgram(program)
    expect(await ownershipOf(store)).toBe('owned')
    expect(await all(store.reap())).toEqual([])
    await expect(store.own('a')).rejects.toThrow(/which ended and handed it over/)
    await endPid(child)
    expect(await ownershipOf(store)).toBe('orphaned')
    const [reaped] = await all(store.reap())
    expect(reaped).toMatchObject({ id: 'a', state: { state: 'running' } })
  })

  test('a release ends it also for a child that inherited it and lives', async () => {
    const { root, store } = await setUp(folder)
    const program = await startOwner(root)
    await tell(program, 'own')
    const child = await tell(program, 'hand over')
    await tell(program, 'release')
    expect(await ownershipOf(store)).toBe('unowned')
    await killProgram(program)
    expect(await ownershipOf(store)).toBe('unowned')
    process.kill(child, 0)
  })

  test.each(['spawn', 'fork', 'cluster'])('a child of %s does not inherit it', async how => {
    const { root, store } = await setUp(folder)
    const program = await startOwner(root)
    await tell(program, 'own')
    const child = await tell(program, how)
    await killProgram(program)
    expect(await ownershipOf(store)).toBe('orphaned')
    if (how !== 'cluster') process.kill(child, 0) // A worker of a cluster ends with its primary, sooner or later.
  })
})

test('the end of a worker thread ends its ownership', async () => {
  const { root, store } = await setUp()
  const program = await startOwner(root)
  await tell(program, 'thread')
  expect(await ownershipOf(store)).toBe('orphaned')
  process.kill(program.pid ?? 0, 0)
})

const noNamespace = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status !== 0
if (noNamespace) console.warn('no owner is in another pid namespace: unshare(1) does not work here')

test.skipIf(noNamespace)(
  'an owner in another container is named as such, and is judged by its lock',
  async () => {
    const { root, store } = await setUp()
    const within = ['--pid', '--fork', '--kill-child', '--mount-proc', process.execPath]
    const program = startProgram('owner', [root], { execPath: 'unshare', execArgv: within })
    await nextMessage(program)
    const answer = nextMessage(program)
    program.send(['own', 'a'])
    const { result: pid } = (await answer) as { result: number }
    expect((await store.inspect('a')).owner).toMatchObject({ state: 'owned', pid, otherPidNamespace: true })
    await expect(store.own('a')).rejects.toThrow(/owned by pid \d+ of another pid namespace/)
    expect(await all(store.reap())).toEqual([])
    await killProgram(program)
    await (await store.own('a', { wait: true })).release()
  },
)

test('an orphan is taken over', async () => {
  const { root, store } = await setUp()
  await orphan(root, 'a')
  await own(store)
  expect((await store.inspect('a')).owner).toMatchObject({ state: 'owned', pid: process.pid })
})

describe('what cannot be owned', () => {
  test('a sandbox that does not exist: nothing is made', async () => {
    const { root, store } = await setUp()
    await expect(store.own('b')).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'b' })
    mkdirSync(join(root, 'unfinished'))
    await expect(store.own('unfinished')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(readdirSync(root).sort()).toEqual(['a', 'unfinished'])
    expect(readdirSync(join(root, 'unfinished'))).toEqual([])
  })

  test("another program's sandbox, which is left as it is", async () => {
    const { root, store } = await setUp()
    mkdirSync(join(root, 'runc'))
    writeFileSync(join(root, 'runc', 'state.json'), '{"init_process_pid":1,"id":"x"}')
    await expect(store.own('runc')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(readdirSync(join(root, 'runc'))).toEqual(['state.json'])
  })

  test.each(['link', 'folder', 'hard link'])('one whose owner file is a %s', async what => {
    const { root, store, file } = await setUp()
    const elsewhere = join(root, 'elsewhere')
    writeFileSync(elsewhere, 'of another')
    if (what === 'link') symlinkSync(elsewhere, file('a'))
    else if (what === 'folder') mkdirSync(file('a'))
    else linkSync(elsewhere, file('a'))
    await expect(store.own('a')).rejects.toMatchObject({ code: 'CORRUPT_STATE', id: 'a' })
    expect(readFileSync(elsewhere, 'utf8')).toBe('of another')
    const code = { link: 'SYMLINK', folder: 'NOT_A_FILE', 'hard link': 'HARD_LINK' }[what]
    expect(await all(store.check())).toContainEqual(expect.objectContaining({ code, path: file('a') }))
    if (what === 'hard link') return
    await store.repair()
    await own(store)
  })

  test('one whose owner file somebody else is reading, until that is over', async () => {
    const { root, store, file } = await setUp()
    await (await own(store)).release()
    const reader = await holdFlock(file('a'), '--shared')
    const hasty = await openTestStore(root, { lockTimeout: 50 })
    await expect(hasty.own('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
    const owning = store.own('a')
    await reader.release()
    await (await owning).release()
  })
})

describe('taking and releasing', () => {
  test('wait for the locks of a change, and no longer than for a change', async () => {
    const { root, store } = await setUp()
    const hasty = await openTestStore(root, { lockTimeout: 50 })
    const owner = await own(hasty)
    const blocks = [
      async () => (await holdFlock(join(root, 'a', 'lock'))).release,
      () => lockfile.lock(join(root, 'a', 'state.json')),
    ]
    for (const block of blocks) {
      const unblock = await block()
      await expect(owner.release()).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
      expect(await ownershipOf(store)).toBe('owned')
      await unblock()
    }
    await owner.release()
    for (const block of blocks) {
      const unblock = await block()
      await expect(hasty.own('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
      await unblock()
    }
    expect(await ownershipOf(store)).toBe('unowned')
  })

  test('wait their turn in the same process, whatever the time for other processes', async () => {
    const { root } = await setUp(filesystems.at(-1)?.folder) // On a disk both wait for flushes, holding the locks.
    const hasty = await openTestStore(root, { lockTimeout: 0 })
    const [first, second] = await Promise.allSettled([hasty.own('a'), hasty.own('a')])
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'OWNED' } })
    if (first.status === 'rejected') throw first.reason
    const [released, changed] = await Promise.allSettled([
      first.value.release(),
      hasty.update('a', state => state),
    ])
    expect([released.status, changed.status]).toEqual(['fulfilled', 'fulfilled'])
  })

  test.each([
    ['owner', 'itself'],
    ['lock', 'of the sandbox'],
  ])('begin anew when the file %s %s is gone once it is locked', async name => {
    const { root, store } = await setUp()
    await (await own(store)).release()
    const [gone, owned] = [join(root, 'a', name), join(root, 'a', 'owner')]
    const { flock } = libc
    onTestFinished(() => {
      libc.flock = flock
    })
    let count = 0
    libc.flock = (fd, operation) => {
      const isOwner = fstatSync(fd).ino === statSync(owned, { throwIfNoEntry: false })?.ino
      if (isOwner && (operation & LOCK_EX) !== 0 && count++ === 0) unlinkSync(gone)
      return flock(fd, operation)
    }
    await own(store)
    expect(count).toBeGreaterThan(0)
    expect(existsSync(gone)).toBe(true)
    expect(await ownershipOf(store)).toBe('owned')
  })

  test('are in the way of no change', async () => {
    const { root, store } = await setUp()
    await own(store)
    const other = await openTestStore(root, { lockTimeout: 0 })
    expect(await other.transition('a', 'running', 'paused')).toMatchObject({ state: 'paused' })
  })
})

describe('own with wait', () => {
  test('has it when the owner releases it, or is killed; one at a time', async () => {
    const { root, store } = await setUp()
    const program = await startOwner(root)
    await tell(program, 'own')
    let owners = 0
    const waits = [1, 2, 3].map(async () => {
      const owner = await store.own('a', { wait: true })
      expect(++owners).toBe(1)
      await nextTurn()
      owners--
      await owner.release()
    })
    expect(await settled(Promise.race(waits), 200)).toBe('pending')
    await killProgram(program)
    expect(await settled(Promise.all(waits))).toHaveLength(3)
  })

  test('has it when an adopted child ends', async () => {
    const { root, store } = await setUp()
    const program = await startOwner(root)
    await tell(program, 'own')
    const child = await tell(program, 'hand over')
    await killProgram(program)
    const waiting = store.own('a', { wait: true })
    expect(await settled(waiting, 200)).toBe('pending')
    kill(child)
    const owner = await waiting
    await owner.release()
  })
})

describe('reap', () => {
  test('leaves out an orphan whose data the schema of its store refuses', async () => {
    const { root, store } = await setUp()
    await orphan(root, 'a')
    const typed = await openTestStore(root, { data: z.object({ image: z.string() }) })
    expect(await all(typed.reap())).toEqual([])
    expect(await all(typed.list())).toMatchObject([{ id: 'a', error: { code: 'INVALID_STATE' } }])
    expect(await all(store.reap())).toMatchObject([{ id: 'a' }])
  })

  test('stops orphans that run or are paused, and nothing else; says why', async () => {
    const ids = ['dead', 'mine', 'none', 'paused', 'released', 'stopped']
    const { root, store } = await setUp(undefined, ids)
    await store.transition('paused', 'running', 'paused')
    await store.transition('stopped', 'running', 'stopped')
    const pid = await orphan(root, 'dead', 'paused', 'stopped')
    await own(store, 'mine')
    await (await own(store, 'released')).release()
    const reason = `owner died: pid ${pid} (node owner.mjs)`
    const expected = [
      { id: 'dead', state: { state: 'running' }, owner: { state: 'orphaned', pid }, reason },
      { id: 'paused', state: { state: 'paused' }, owner: { state: 'orphaned', pid }, reason },
    ]
    expect((await all(store.orphans())).map(({ id }) => id)).toEqual(['dead', 'paused'])
    expect(await all(store.reap({ dryRun: true }))).toMatchObject(expected)
    expect(await store.read('dead')).toMatchObject({ state: 'running' })
    expect(await all(store.reap())).toMatchObject(expected)
    const states = (await all(store.list())).map(entry => [entry.id, 'state' in entry && entry.state.state])
    expect(Object.fromEntries(states)).toEqual({
      dead: 'stopped',
      mine: 'running',
      none: 'running',
      paused: 'stopped',
      released: 'running',
      stopped: 'stopped',
    })
    expect(await all(store.history('dead'))).toContainEqual(
      expect.objectContaining({ to: 'stopped', reason }),
    )
    expect(await ownershipOf(store, 'dead')).toBe('unowned')
    expect(await all(store.reap())).toEqual([])
  })

  test('looks again under the lock: what is owned, released or changed by then stays', async () => {
    const ids = ['changed', 'deleted', 'other', 'owned', 'released', 'same']
    const { root, store, file } = await setUp(undefined, ids)
    await orphan(root, ...ids)
    const record = readFileSync(file('other'), 'utf8')
    let fd = -1
    // What happens right before the change that reap makes.
    const before: Record<string, () => void> = {
      changed: () => writeFileSync(join(root, 'changed', 'state.json'), '{"state":"paused"}'),
      deleted: () => rmSync(join(root, 'deleted'), { recursive: true }),
      other: () => writeFileSync(file('other'), record.replace(/"since":"..../, '"since":"1999')),
      owned: () => {
        fd = openSync(file('owned'), 'r')
        expect(tryFlock(fd, LOCK_EX)).toBe(true)
      },
      released: () => writeFileSync(file('released'), record.replace('"held":true ', '"held":false')),
    }
    const start = (message: unknown) => before[(message as ChangeTrace).id]?.()
    const { start: channel } = tracingChannel<ChangeTrace>(CHANGE_CHANNEL)
    channel.subscribe(start)
    onTestFinished(() => {
      channel.unsubscribe(start)
      unlockAndClose(fd)
    })
    expect((await all(store.reap())).map(({ id }) => id)).toEqual(['same'])
    const states = (await all(store.list())).map(entry => [entry.id, 'state' in entry && entry.state.state])
    expect(Object.fromEntries(states)).toEqual({
      changed: 'paused',
      other: 'running',
      owned: 'running',
      released: 'running',
      same: 'stopped',
    })
  })

  test('writes nothing into a file that has another name elsewhere', async () => {
    const { root, store, file } = await setUp()
    await orphan(root, 'a')
    const elsewhere = join(root, 'elsewhere')
    linkSync(file('a'), elsewhere)
    expect(await all(store.reap())).toHaveLength(1)
    expect(await store.read('a')).toMatchObject({ state: 'stopped' })
    expect(readFileSync(elsewhere, 'utf8')).toMatch(/^\{"held":true ,/)
  })

  test('by many at once stops each once', async () => {
    const { root, store } = await setUp(undefined, ['a', 'b', 'c'])
    await orphan(root, 'a', 'b', 'c')
    const reaped = (await Promise.all([1, 2, 3, 4].map(() => all(store.reap())))).flat()
    expect(reaped.map(({ id }) => id).sort()).toEqual(['a', 'b', 'c'])
    for (const id of ['a', 'b', 'c'])
      expect((await all(store.history(id))).filter(({ to }) => to === 'stopped')).toHaveLength(1)
  })

  test('after a reboot finds all that were owned', async () => {
    const { root, store } = await setUp(undefined, ['a', 'b'])
    const earlier = fileURLToPath(new URL('../power/programs/earlier-boot.mjs', import.meta.url))
    const program = await startOwner(root, '--import', earlier)
    await tell(program, 'own', 'a')
    await tell(program, 'own', 'b')
    await tell(program, 'release', 'b')
    await killProgram(program)
    expect(readFileSync(join(root, 'a', 'owner'), 'utf8')).toContain('"boot":"00000000-')
    expect((await all(store.reap())).map(({ id }) => id)).toEqual(['a'])
  })
})

describe('a sandbox that is deleted', () => {
  test('loses its owner, whose signal is aborted; the next of that id has no owner', async () => {
    const { root, store } = await setUp()
    const owner = await own(store)
    const lost = once(owner.signal, 'abort')
    await store.delete('a', { force: true })
    expect(existsSync(join(root, 'a'))).toBe(false)
    await store.create('a')
    expect(await ownershipOf(store)).toBe('unowned')
    const next = await own(store)
    expect(await settled(lost)).not.toBe('pending')
    expect(owner.signal.reason).toMatchObject({ code: 'NOT_FOUND', id: 'a' })
    await owner.release()
    expect(await ownershipOf(store)).toBe('owned')
    expect(next.signal.aborted).toBe(false)
  })

  test('and was moved away, too', async () => {
    const { root, store } = await setUp()
    const owner = await own(store)
    renameSync(join(root, 'a'), join(root, '..moved'))
    expect(await settled(once(owner.signal, 'abort'))).not.toBe('pending')
    await owner.release()
  })

  test('by a process that was killed midway leaves no owner to the next of that id', async () => {
    const { root, store, file } = await setUp()
    await own(store)
    unlinkSync(join(root, 'a', 'state.json'))
    await store.create('a')
    expect(existsSync(file('a'))).toBe(false)
    expect(await ownershipOf(store)).toBe('unowned')
  })

  test('beside files of others takes its owner file along', async () => {
    const { root, store, file } = await setUp()
    await (await own(store)).release()
    writeFileSync(join(root, 'a', 'of-kata'), '')
    await store.delete('a', { force: true })
    expect(existsSync(file('a'))).toBe(false)
  })
})

test('check, repair and copy know the file', async () => {
  const { root, store, file } = await setUp()
  const owner = await own(store)
  expect(await all(store.check())).toEqual([])
  chmodSync(file('a'), 0o622)
  chmodSync(join(root, 'a'), 0o711)
  expect((await all(store.check())).map(({ path, code }) => [path, code])).toContainEqual([
    file('a'),
    'WRONG_MODE',
  ])
  await store.repair()
  expect(statSync(file('a')).mode & 0o777).toBe(0o600)
  expect(await ownershipOf(store)).toBe('owned')
  const to = await openTestStore(temporaryFolder())
  await copyStore(store, to)
  expect(await ownershipOf(to)).toBe('unowned')
  await owner.release()
  rmSync(join(root, 'a', 'state.json'))
  await store.repair()
  expect(existsSync(join(root, 'a'))).toBe(false)
})
