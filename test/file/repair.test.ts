import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import type { Repair, SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, places } from '../support/effort.js'
import { age, canHave, faults, storeToDamage } from '../support/faults.js'
import { holdFlock } from '../support/flock.js'
import { picture } from '../support/picture.js'
import { killProgram, nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { settled, until } from '../support/wait.js'

/** A list of repairs without the names of the folders in the quarantine, which a dry run does not know. */
function withoutPlaces(repairs: readonly Repair[]): unknown[] {
  return repairs.map(({ to, ...repair }) => ({ ...repair, moved: to !== undefined }))
}

async function stateOf(store: SandboxStore, id: string): Promise<string> {
  return store.read(id).then(
    ({ state }) => state,
    ({ code }) => code,
  )
}

/** The entries of the quarantine into which something was moved, each with its note. */
function quarantined(root: string): { path: string; files: string[]; note: Note }[] {
  const quarantine = join(root, '.quarantine')
  return readdirSync(quarantine)
    .sort()
    .flatMap(name => {
      const path = join(quarantine, name)
      const files = readdirSync(path).filter(file => file !== 'note.json')
      if (files.length === 0) return []
      return { path, files: files.sort(), note: JSON.parse(readFileSync(join(path, 'note.json'), 'utf8')) }
    })
}

interface Note {
  readonly time: string
  readonly id: string
  readonly files: string[]
  readonly faults: { code: string; path: string; message: string }[]
  readonly by: { pid: number; host: string; command: string }
}

test('a folder that was named by mistake is left as it is, empty folders and links included', async () => {
  const home = temporaryFolder()
  mkdirSync(join(home, 'bin'), { mode: 0o755 })
  writeFileSync(join(home, 'bin', 'program'), '', { mode: 0o755 })
  for (const [name, mode] of [
    ['empty', 0o755],
    ['public', 0o711],
    ['tmp', 0o1777],
  ] as const) {
    mkdirSync(join(home, name))
    chmodSync(join(home, name), mode)
  }
  symlinkSync('bin', join(home, 'sbin'))
  const before = picture(home)
  const store = await openTestStore(home)
  const repairs = await store.repair()
  expect(new Set(repairs.map(({ id }) => id))).toEqual(new Set(['bin', 'empty', 'public', 'tmp', 'sbin']))
  expect(repairs.filter(({ action }) => action !== 'left')).toEqual([])
  expect(picture(home)).toEqual(before)
  expect((await all(store.check())).filter(({ repairable }) => repairable)).toEqual([])
})

test('what a killed create left is removed also where there is no other sandbox', async () => {
  const root = temporaryFolder()
  mkdirSync(join(root, 'a'), { mode: 0o700 })
  writeFileSync(join(root, 'a', 'lock'), '', { mode: 0o600 })
  mkdirSync(join(root, 'b'))
  chmodSync(join(root, 'b'), 0o755)
  writeFileSync(join(root, 'b', 'state.json'), '{', { mode: 0o600 })
  const store = await openTestStore(root)
  const repairs = await store.repair()
  expect(repairs.map(({ id, code, action }) => [id, code, action]).sort()).toEqual([
    ['a', 'UNFINISHED_CREATE', 'removed'],
    ['b', 'CORRUPT_STATE', 'moved'],
    ['b', 'WRONG_MODE', 'chmod'],
  ])
  expect(await all(store.check())).toEqual([])
})

describe.each(Object.entries(faults))('%s', (_name, fault) => {
  test.runIf(canHave(fault))('is repaired as a dry run says, and stays so', async () => {
    const { root, store, folder } = await storeToDamage()
    fault.make(folder)
    const before = picture(root)
    const path = join(root, fault.path)
    const good = picture(join(root, 'good'))
    const [finding] = await all(store.check())
    const planned = await store.repair({ dryRun: true })
    expect(picture(root)).toEqual(before)
    const done = await store.repair({ dryRun: false })
    expect(withoutPlaces(done)).toEqual(withoutPlaces(planned))
    const id = fault.code === 'INVALID_ID' ? {} : { id: 'bad' }
    const { code, action } = fault
    expect(withoutPlaces(done)).toEqual([
      { ...id, code, path, action, message: finding?.message, moved: action === 'moved' },
    ])
    if (action === 'moved') {
      const name = fault.path === 'bad' ? 'bad' : fault.path.slice('bad/'.length)
      const [entry, ...others] = quarantined(root)
      expect(others).toEqual([])
      expect(entry?.path).toBe(done[0]?.to)
      expect(entry?.files).toEqual(name === 'state.json' ? ['history.jsonl', 'state.json'] : [name])
      const { dev, ino } = lstatSync(join(entry?.path ?? '', name))
      // A rename: the very same file, with its content, its mode and its times.
      expect(before[path]).toContain(` ${ino} `)
      expect(dev).toBe(lstatSync(root).dev)
      const withoutCtime = (text: string | undefined) => text?.split(' ').toSpliced(7, 1)
      expect(withoutCtime(picture(join(entry?.path ?? ''))[join(entry?.path ?? '', name)])).toEqual(
        withoutCtime(before[path]),
      )
      expect(entry?.note).toEqual({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        id: 'bad',
        files: entry?.files,
        faults: [{ code, path, message: finding?.message }],
        by: { pid: process.pid, host: hostname(), command: expect.any(String) },
      })
    }
    if (action === 'left') expect(picture(root)).toEqual(before)
    expect(picture(join(root, 'good'))).toEqual(good)
    expect(await stateOf(store, 'bad')).toBe(fault.after)
    const left = await all(store.check())
    expect(left.map(({ code }) => code)).toEqual(action === 'left' ? [code] : [])
    const after = picture(root)
    expect(withoutPlaces(await store.repair())).toEqual(action === 'left' ? withoutPlaces(done) : [])
    expect(picture(root)).toEqual(after)
    if (fault.after === 'NOT_FOUND' && action !== 'left') {
      expect((await store.create('bad')).state).toBe('ready')
      expect(await all(store.check())).toEqual([])
    }
  })
})

test('a damaged state goes with its histories; what others keep in the folder stays', async () => {
  const { root, store, folder } = await storeToDamage()
  const line = readFileSync(join(folder, 'history.jsonl'), 'utf8')
  writeFileSync(join(folder, 'history.jsonl.1'), line, { mode: 0o600 })
  writeFileSync(join(folder, 'state.json'), '{"st')
  writeFileSync(join(folder, 'agent.json'), '{}')
  const [done] = await store.repair()
  expect(done?.action).toBe('moved')
  const [entry] = quarantined(root)
  expect(entry?.files).toEqual(['history.jsonl', 'history.jsonl.1', 'state.json'])
  expect(readFileSync(join(entry?.path ?? '', 'history.jsonl'), 'utf8')).toBe(line)
  expect(readdirSync(folder)).toContain('agent.json')
  await store.create('bad')
  expect(await stateOf(store, 'bad')).toBe('ready')
})

test('what is set aside gets a new name each time, and only its owner can read it', async () => {
  const umask = process.umask(0)
  onTestFinished(() => void process.umask(umask))
  const { root, store, folder } = await storeToDamage()
  for (const text of ['1', '2', '3']) {
    writeFileSync(join(folder, 'state.json'), text)
    await store.repair()
    await store.create('bad')
  }
  const entries = quarantined(root)
  expect(entries.map(({ path }) => readFileSync(join(path, 'state.json'), 'utf8'))).toEqual(['1', '2', '3'])
  const mode = (path: string) => lstatSync(path).mode & 0o7777
  expect(mode(join(root, '.quarantine'))).toBe(0o700)
  expect(entries.map(({ path }) => mode(path))).toEqual([0o700, 0o700, 0o700])
  expect(entries.map(({ path }) => mode(join(path, 'note.json')))).toEqual([0o600, 0o600, 0o600])
  expect(await all(store.list())).toMatchObject([{ id: 'bad' }, { id: 'good' }])
})

test.each<[string, (path: string) => void]>([
  ['a link', path => symlinkSync(temporaryFolder(), path)],
  ['a file', path => writeFileSync(path, '')],
  [
    'open to others',
    path => {
      mkdirSync(path)
      chmodSync(path, 0o777)
    },
  ],
])('nothing is moved into a quarantine that is %s', async (_kind, make) => {
  const { root, store, folder } = await storeToDamage()
  make(join(root, '.quarantine'))
  writeFileSync(join(folder, 'state.json'), '{"st')
  const done = await store.repair()
  expect(done.map(({ code, action }) => `${code} ${action}`).sort()).toEqual([
    'CORRUPT_STATE failed',
    expect.stringMatching(/^(SYMLINK|NOT_A_FOLDER|WRONG_MODE) left$/),
  ])
  expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('{"st')
})

test('an entry into which a killed repair moved nothing is no fault, and stays', async () => {
  const { root, store, folder } = await storeToDamage()
  const entry = join(root, '.quarantine', '20260102T030405.678Z-bad-1')
  mkdirSync(entry, { recursive: true, mode: 0o700 })
  writeFileSync(join(entry, 'note.json'), '{')
  expect(await all(store.check())).toEqual([])
  writeFileSync(join(folder, 'state.json'), '')
  expect(await store.repair()).toMatchObject([{ code: 'EMPTY_STATE', action: 'moved' }])
  expect(readdirSync(join(root, '.quarantine'))).toHaveLength(2)
  expect(readdirSync(entry)).toEqual(['note.json'])
})

describe('a sandbox that somebody holds', () => {
  test('under flock(2), with what a change makes, is no finding, and repair skips it and says so', async () => {
    const { root, store, folder } = await storeToDamage()
    writeFileSync(join(folder, '.state.json.tmp'), '')
    mkdirSync(join(folder, 'state.json.lock'), 0o500)
    const shell = await holdFlock(join(folder, 'lock'))
    const before = picture(root)
    expect(await all(store.check())).toEqual([])
    const expected = [
      { id: 'bad', code: 'LEFTOVER', action: 'busy' },
      { id: 'bad', code: 'DEAD_LOCK', action: 'busy' },
    ]
    expect(await store.repair({ dryRun: true })).toMatchObject(expected)
    expect(await store.repair()).toMatchObject(expected)
    expect(picture(root)).toEqual(before)
    await shell.release()
    expect(await store.repair()).toMatchObject([{ action: 'removed' }, { action: 'removed' }])
    expect(await all(store.check())).toEqual([])
  })

  test('under flock(2), and whose state is damaged all the time, is a finding', async () => {
    const { store, folder } = await storeToDamage()
    writeFileSync(join(folder, 'state.json'), '')
    await holdFlock(join(folder, 'lock'))
    expect(await all(store.check())).toMatchObject([{ id: 'bad', code: 'EMPTY_STATE' }])
    expect(await store.repair()).toMatchObject([{ id: 'bad', code: 'EMPTY_STATE', action: 'busy' }])
    expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('')
  })

  test("with another program's proper-lockfile lock, is left alone as well", async () => {
    const { store, folder } = await storeToDamage()
    const release = await lockfile.lock(join(folder, 'state.json'))
    writeFileSync(join(folder, '.state.json.tmp'), '')
    expect(await all(store.check())).toEqual([])
    writeFileSync(join(folder, 'state.json'), '')
    expect(await store.repair()).toMatchObject([{ id: 'bad', code: 'EMPTY_STATE', action: 'busy' }])
    expect(readdirSync(folder)).toContain('.state.json.tmp')
    await release()
    await store.repair()
    expect(await stateOf(store, 'bad')).toBe('NOT_FOUND')
  })

  test('for a moment is waited for', async () => {
    const { store, folder } = await storeToDamage({ lockTimeout: 20_000 })
    writeFileSync(join(folder, 'state.json'), '')
    const shell = await holdFlock(join(folder, 'lock'))
    const repair = store.repair()
    expect(await settled(repair, 600)).toBe('pending')
    await shell.release()
    expect(await repair).toMatchObject([{ id: 'bad', code: 'EMPTY_STATE', action: 'moved' }])
  })
})

test('the second of two repairs does not move what a change made anew after the first had moved it', async () => {
  const { root, store, folder } = await storeToDamage({ lockTimeout: 10_000 })
  mkdirSync(join(root, '.quarantine'), 0o700)
  const first = await holdFlock(join(root, '.quarantine'))
  faults['a lock that is a FIFO']?.make(folder)
  const second = store.repair()
  expect(await settled(second, 600)).toBe('pending')
  expect(lstatSync(join(folder, 'lock')).isFIFO()).toBe(true)
  rmSync(join(folder, 'lock'))
  await store.update('bad', state => ({ ...state, blockIndex: 1 }))
  const lock = picture(join(folder, 'lock'))
  await first.release()
  expect(await second).toEqual([])
  expect(picture(join(folder, 'lock'))).toEqual(lock)
  expect(readdirSync(join(root, '.quarantine'))).toEqual([])
})

test('a quarantine that another repair holds for too long makes a repair skip what it would move', async () => {
  const { root, store, folder } = await storeToDamage({ lockTimeout: 300 })
  mkdirSync(join(root, '.quarantine'), 0o700)
  await holdFlock(join(root, '.quarantine'))
  writeFileSync(join(folder, 'state.json'), '')
  expect(await store.repair()).toMatchObject([{ id: 'bad', code: 'EMPTY_STATE', action: 'busy' }])
  expect(readFileSync(join(folder, 'state.json'), 'utf8')).toBe('')
})

test('a repair that gives up leaves it to the next change to sweep up after the holder that was killed', async () => {
  const { store, folder } = await storeToDamage()
  // As a holder leaves it that is killed while it writes.
  writeFileSync(join(folder, '.state.json.tmp'), '{"sta')
  const lock = join(folder, 'lock')
  writeFileSync(lock, readFileSync(lock, 'utf8').replace('"held":false', '"held":true '))
  appendFileSync(join(folder, 'history.jsonl'), 'damaged')
  // Another program came in since.
  const release = await lockfile.lock(join(folder, 'state.json'))
  const rows = await store.repair()
  expect(rows.map(({ action }) => action)).toEqual(['busy'])
  await release()
  await store.update('bad', state => state)
  expect(readdirSync(folder).sort()).toEqual(['history.jsonl', 'lock', 'state.json'])
})

test('a repair that is killed at any call is finished by the next one', { timeout: 300_000 }, async () => {
  for (let n = 1; ; n += effort(60, 4, 1)) {
    const { root, store, folder } = await storeToDamage({
      lockTimeout: 5000,
      on: filesystems[0]?.folder ?? '',
    })
    const history = readFileSync(join(folder, 'history.jsonl'), 'utf8')
    writeFileSync(join(folder, 'state.json'), 'damaged')
    const program = startProgram('repairer', [root, String(n)])
    await nextMessage(program)
    const ended = once(program, 'exit')
    program.send('go')
    const [code] = await ended
    const done = await store.repair()
    expect(done.filter(({ action }) => action === 'failed' || action === 'busy')).toEqual([])
    expect(await all(store.check())).toEqual([])
    expect(await stateOf(store, 'bad')).toBe('NOT_FOUND')
    const kept = quarantined(root).flatMap(({ path, files }) => files.map(file => join(path, file)))
    const contents = kept.map(path => readFileSync(path, 'utf8')).sort()
    expect({ n, contents }).toEqual({ n, contents: ['damaged', history].sort() })
    await store.create('bad')
    await store.close()
    rmSync(root, { recursive: true })
    if (code === 0) {
      expect(n).toBeGreaterThan(30)
      return
    }
  }
})

describe.each(places)('beside running processes, on $name', ({ folder: on }) => {
  test('endless changes cause no finding, and no change is lost', { timeout: 120_000 }, async () => {
    const { root, store } = await storeToDamage({ lockTimeout: 20_000, on })
    const ids = ['good', 'bad']
    const programs = [0, 1].map(() => startProgram('load', [root, ...ids]))
    await Promise.all(programs.map(nextMessage))
    const reports = Promise.all(programs.map(nextMessage))
    for (const program of programs) program.send('go')
    const hasWorked = async () => (await store.read('bad')).blockIndex > effort(50, 300)
    for (let rounds = 0; rounds < effort(3, 30) || !(await hasWorked()); rounds++) {
      expect(await all(store.check())).toEqual([])
      expect(await store.repair()).toEqual([])
    }
    for (const program of programs) program.send('stop')
    const done = (await reports) as {
      increments: Record<string, number>
      errors: string[]
      created: number
    }[]
    expect(done.flatMap(({ errors }) => errors)).toEqual([])
    for (const id of ids) {
      const sum = done.reduce((total, { increments }) => total + (increments[id] ?? 0), 0)
      expect(sum).toBeGreaterThan(0)
      expect((await store.read(id)).blockIndex).toBe(sum)
    }
    expect(done.every(({ created }) => created > 0)).toBe(true)
    expect(readdirSync(root).sort()).toEqual(['bad', 'good'])
  })

  test('two repairs at once move each damaged state once, and lose no change', {
    timeout: 60_000,
  }, async () => {
    const { root, store } = await storeToDamage({ lockTimeout: 20_000, on })
    const other = await openTestStore(root, { lockTimeout: 20_000, durable: false })
    const ids = Array.from({ length: 30 }, (_, i) => `s${i}`)
    const fills: ((folder: string) => void)[] = [
      folder => writeFileSync(join(folder, 'state.json'), '{"st'),
      folder => faults['a lock that is a FIFO']?.make(folder),
      folder => faults['a folder with all that a killed create leaves']?.make(folder),
    ]
    for (const [i, id] of ids.entries()) {
      await store.create(id, { blockIndex: i })
      fills[i % fills.length]?.(join(root, id))
    }
    const lists = await Promise.all([store.repair(), other.repair(), store.repair()])
    const rows = lists.flat()
    expect(rows.filter(({ action }) => action === 'failed' || action === 'busy')).toEqual([])
    const moved = rows.filter(({ action }) => action === 'moved')
    expect(moved.map(({ id }) => id).sort()).toEqual(ids.filter((_, i) => i % 3 !== 2).sort())
    expect(
      quarantined(root)
        .map(({ note }) => note.id)
        .sort(),
    ).toEqual(moved.map(({ id }) => id).sort())
    for (const [i, id] of ids.entries()) {
      expect(await stateOf(store, id)).toBe(i % 3 === 1 ? 'ready' : 'NOT_FOUND')
    }
    expect(await all(store.check())).toEqual([])
  })

  test('a repair that is killed is finished by the next one', { timeout: 60_000 }, async () => {
    const { root, store } = await storeToDamage({ lockTimeout: 5000, on })
    const ids = Array.from({ length: 40 }, (_, i) => `s${i}`)
    for (const id of ids) {
      await store.create(id)
      writeFileSync(join(root, id, 'state.json'), `damaged ${id}`)
      age(join(root, id), 10_000)
    }
    const quarantine = join(root, '.quarantine')
    mkdirSync(quarantine, { mode: 0o700 })
    for (let kills = 0; kills < effort(2, 8); kills++) {
      const program = startProgram('repairer', [root])
      await nextMessage(program)
      program.send('go')
      await until('it has moved some', () => readdirSync(quarantine).length > 5 * kills)
      await killProgram(program)
    }
    const done = await store.repair()
    expect(done.filter(({ action }) => action === 'failed' || action === 'busy')).toEqual([])
    expect(await all(store.check())).toEqual([])
    // If its repair was killed between two files, they are in two entries.
    const kept: Record<string, string[]> = {}
    for (const { path, note, files } of quarantined(root)) {
      kept[note.id] = [...(kept[note.id] ?? []), ...files].sort()
      if (files.includes('state.json'))
        expect(readFileSync(join(path, 'state.json'), 'utf8')).toBe(`damaged ${note.id}`)
    }
    expect(kept).toEqual(Object.fromEntries(ids.map(id => [id, ['history.jsonl', 'state.json']])))
    expect(await all(store.list())).toHaveLength(2)
  })
})
