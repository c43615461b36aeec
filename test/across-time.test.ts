import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeState, encodeState, type SandboxState } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from './support/all.js'
import { places } from './support/effort.js'
import { holdFlock } from './support/flock.js'
import { temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'

// Today's code over what every version of this package left on the disk; see fixtures/versions/README.md.

const fixtures = fileURLToPath(new URL('../fixtures/versions/', import.meta.url))
const versions = readdirSync(fixtures, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(({ name }) => name)

interface Fixture {
  readonly version: string
  /** By id: the state, or the code of the error that a read gives. */
  readonly states: Readonly<Record<string, SandboxState | string>>
  /** Without a text it is a folder. */
  readonly entries: readonly { readonly path: string; readonly mode: string; readonly text?: string }[]
}

function load(version: string): Fixture {
  return JSON.parse(readFileSync(join(fixtures, version, 'root.json'), 'utf8')) as Fixture
}

function restore({ entries }: Fixture, root: string): void {
  for (const { path, mode, text } of entries) {
    if (text === undefined) mkdirSync(join(root, path))
    else writeFileSync(join(root, path), text)
    chmodSync(join(root, path), Number.parseInt(mode, 8))
  }
}

async function setUp(folder: string, version: string) {
  const root = temporaryFolder(folder)
  const fixture = load(version)
  restore(fixture, root)
  // No lock that a dead process left is waited for.
  const store = await openTestStore(root, { lockTimeout: 0 })
  const states = Object.entries(fixture.states).flatMap(([id, state]) =>
    typeof state === 'string' ? [] : [{ id, state }],
  )
  const codes = Object.entries(fixture.states).filter(([, state]) => typeof state === 'string')
  return { root, fixture, store, states, codes }
}

test('there is a fixture of the first version, with every kind of leftover', () => {
  const { entries, states } = load('0.1.0')
  const paths = entries.map(({ path }) => path)
  for (const id of ['killed-holder', 'killed-writer', 'unfinished', 'half-deleted']) {
    expect(paths).toContain(`${id}/state.json.lock`)
  }
  expect(paths).toContain('rotated/history.jsonl.1')
  expect(paths.filter(path => /\/state\.json\.\d+$/.test(path))).toHaveLength(2)
  expect(Object.keys(states)).toHaveLength(10)
})

/**
 * What a folder holds, but for the temporary files of version 0.1.0: their names could also be those of copies that a
 * person made, so nothing of ours removes them.
 */
function namesIn(root: string, id: string): string[] {
  const names = readdirSync(join(root, id)).filter(name => !/^state\.json\.\d+$/.test(name))
  return names.sort()
}

const cases = versions.flatMap(version => places.map(({ name, folder }) => ({ version, name, folder })))

describe.each(cases)('what $version left, on $name', ({ version, folder }) => {
  test('is read and listed as it was, and not touched by that', async () => {
    const { root, fixture, store, states, codes } = await setUp(folder, version)
    for (const { id, state } of states) expect(await store.read(id)).toMatchObject(state)
    for (const [id, code] of codes) await expect(store.read(id)).rejects.toMatchObject({ code })
    expect(await all(store.list())).toMatchObject(states)
    for (const { path, mode, text } of fixture.entries) {
      expect((statSync(join(root, path)).mode & 0o7777).toString(8)).toBe(mode)
      if (text !== undefined) expect(readFileSync(join(root, path), 'utf8')).toBe(text)
    }
  })

  test('is changed at once, keeps what is not changed, and loses the locks left behind', async () => {
    const { root, store, states } = await setUp(folder, version)
    for (const { id, state } of states) {
      const updated = await store.update(id, current => ({ ...current, blockIndex: current.blockIndex + 1 }))
      expect(updated).toMatchObject({ ...state, blockIndex: state.blockIndex + 1 })
      const names = namesIn(root, id).filter(name => name !== 'history.jsonl.1')
      expect(names).toEqual(['history.jsonl', 'lock', 'state.json'])
      expect(readFileSync(join(root, id, 'lock'), 'latin1')).toMatch(/^\{"held":false,/)
    }
    expect(readFileSync(join(root, 'fields', 'state.json'), 'utf8')).toMatch(
      /,"later":\{"field":\[1,"two"\]\},"__proto__":3\}$/,
    )
    await store.transition('ready', 'ready', 'running')
    await store.transition('paused', 'paused', 'running')
    await store.delete('stopped')
    expect(readdirSync(root)).not.toContain('stopped')
  })

  test('is created anew where a create or a delete was killed, with a history of its own', async () => {
    const { root, store, codes } = await setUp(folder, version)
    for (const [id, code] of codes) {
      expect(code).toBe('NOT_FOUND')
      await expect(store.delete(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await store.create(id)
      expect(namesIn(root, id)).toEqual(['history.jsonl', 'lock', 'state.json'])
      const lines = readFileSync(join(root, id, 'history.jsonl'), 'utf8')
        .trimEnd()
        .split('\n')
      expect(lines.map(line => JSON.parse(line))).toMatchObject([{ seq: 1, from: null, to: 'ready' }])
    }
  })

  test('is deleted, also where a process was killed', async () => {
    const { root, store, states } = await setUp(folder, version)
    for (const { id } of states) await store.delete(id, { force: true })
    expect(await all(store.list())).toEqual([])
    expect(readdirSync(root).sort()).toEqual(['half-deleted', 'killed-writer', 'unfinished'])
    expect(namesIn(root, 'killed-writer')).toEqual(['lock'])
  })
})

describe('labels, data and reasons, after version 0.1.0 changed their sandboxes', () => {
  type Files = Readonly<Record<string, { readonly 'state.json': string; readonly 'history.jsonl': string }>>
  const read = (name: string): Files => JSON.parse(readFileSync(join(fixtures, name), 'utf8'))
  const before = read('newer.json')
  const after = read('0.1.0/newer.json')

  test.each(Object.keys(before))('are all there: %s', async id => {
    const [was, is] = [before[id], after[id]]
    if (was === undefined || is === undefined) throw new Error(`${id} is not in both`)
    const moved = (text: string) =>
      text.replace('"state":"ready"', '"state":"running"').replace('"blockIndex":0', '"blockIndex":1')
    expect(is['state.json']).toBe(moved(was['state.json']))
    expect(is['history.jsonl'].startsWith(was['history.jsonl'])).toBe(true)
    // What it was given is what is written today.
    const given = decodeState(was['state.json'])
    const { data, ...state } = given
    if (id !== 'numbers') {
      expect(encodeState(data === undefined ? state : { ...state, data })).toBe(was['state.json'])
    }

    const root = temporaryFolder()
    mkdirSync(join(root, id), { mode: 0o700 })
    for (const [name, text] of Object.entries(is)) writeFileSync(join(root, id, name), text)
    const store = await openTestStore(root)
    expect(await store.read(id)).toEqual({ ...given, state: 'running', blockIndex: 1 })
    await store.transition(id, 'running', 'paused')
    const reasons = (await all(store.history(id))).map(({ reason }) => reason)
    const recorded = was['history.jsonl'].trimEnd().split('\n')
    expect(reasons).toEqual([
      ...recorded.map(line => JSON.parse(line).reason),
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('a lock note that says held', () => {
  /** The process that runs this test, as the kernel describes it. */
  const me = {
    pid: process.pid,
    start: readFileSync(`/proc/${process.pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[19] ?? '',
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
  }

  test.each([
    ['of a pid that was given to another process', { ...me, start: '1' }],
    ['of a pid of another boot', { ...me, boot: '00000000-0000-4000-8000-000000000000' }],
    ['of a pid that nobody has', { ...me, pid: 4_194_305 }],
    ['of a pid of another pid namespace', { ...me, pidns: '1' }],
    ['of a live process that does not hold it', me],
  ])('%s does not keep anybody out, and is not believed', async (_, fields) => {
    const { root, store } = await setUp(temporaryFolder(), '0.1.0')
    const lock = join(root, 'killed-holder', 'lock')
    const note = JSON.parse(readFileSync(lock, 'utf8'))
    expect(note.held).toBe(true)
    const text = JSON.stringify({ ...note, ...fields, host: hostname() })
    writeFileSync(lock, `${text.replace('true,', 'true ,').padEnd(511)}\n`)
    if (fields !== me) {
      // Another program holds the lock, and the note is still the old one.
      const shell = await holdFlock(lock)
      const error = await store.update('killed-holder', state => state).catch(String)
      expect(error).toContain(`pid ${shell.pid}`)
      expect(error).not.toContain(`pid ${fields.pid} `)
      await shell.release()
    }
    await store.transition('killed-holder', 'ready', 'running')
    expect(readFileSync(lock, 'utf8')).toContain(
      `"pid":${process.pid},"start":"${me.start}","boot":"${me.boot}"`,
    )
  })
})
