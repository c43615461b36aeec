import { chmodSync, cpSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decodeState, encodeState, type SandboxState } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { Root } from '../cli/support.js'
import { all } from '../support/all.js'
import { picture } from '../support/picture.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/kata', import.meta.url))

/** Sandboxes by id, with what differs from a new one whose state is its id. */
type Sandboxes = Readonly<Record<string, Partial<SandboxState>>>

interface Version {
  readonly versions: readonly string[]
  /** What a store reads: each `state.json`. */
  readonly states?: Sandboxes
  /** What can be imported: each `persist.json`. */
  readonly persisted?: Sandboxes
}

const FULL = { state: 'running', blockIndex: 2 ** 31 } as const
const FULL_1_4 = { ...FULL, guestMemoryBlockSize: 2 ** 32 - 1 }
const FULL_1_6 = { ...FULL_1_4, cgroupPath: '/kata_<a>&"\\\u2028\u0001😀' }
const FULL_1_7 = { ...FULL_1_6, guestMemoryHotplugProbe: true }
const MADE_UP = {
  state: 'running',
  blockIndex: 2,
  guestMemoryBlockSize: 128,
  guestMemoryHotplugProbe: true,
  cgroupPath: '/kata_<a>',
} as const
const running = { blockIndex: 2 }
const inCgroup = (id: string) => ({ cgroupPath: `/h3/kata_${id}` })

const VERSIONS: readonly Version[] = [
  { versions: ['1.0.0', '1.2.0'], states: { ready: {}, running: {}, paused: {}, stopped: {}, full: FULL } },
  { versions: ['1.4.0', '1.5.0'], states: { ready: {}, running, paused: {}, stopped: {}, full: FULL_1_4 } },
  { versions: ['1.6.0'], states: { ready: {}, running, paused: {}, stopped: {}, full: FULL_1_6 } },
  {
    versions: ['1.7.0', '1.8.0', '1.9.0'],
    states: { ready: {}, running, paused: {}, stopped: {}, full: FULL_1_7 },
  },
  { versions: ['1.10.0', '1.10.8'], states: { ready: {}, running, stopped: {}, full: FULL_1_7 } },
  { versions: ['1.7.0-newstore', '1.9.0-newstore', '1.10.8-newstore'], persisted: { todisk: MADE_UP } },
  {
    versions: ['1.10.8-then-1.11.5'],
    states: { upgraded: { state: 'stopped' } },
    persisted: { upgraded: { state: 'stopped' } },
  },
  {
    versions: ['1.11.0', '1.11.5', '1.12.1', '1.13.0-alpha0'],
    persisted: { ready: {}, running, stopped: {} },
  },
  { versions: ['2.0.0', '2.2.3'], persisted: { ready: {}, running, stopped: { blockIndex: 1 } } },
  {
    versions: ['2.3.0', '2.5.2', '3.0.0', '3.2.0', '3.8.0', '3.15.0'],
    persisted: {
      ready: inCgroup('ready'),
      running: { ...running, ...inCgroup('running') },
      stopped: { blockIndex: 1, ...inCgroup('stopped') },
    },
  },
  {
    versions: ['3.20.0', '3.25.0', '3.32.0', '4.1.0'],
    persisted: { todisk: { ...MADE_UP, blockIndex: 4 } },
  },
]

/** As a listing shows them. */
function entries(sandboxes: Sandboxes = {}): { id: string; state: SandboxState }[] {
  const states = Object.entries(sandboxes).map(([id, fields]) => ({
    id,
    state: {
      state: id as SandboxState['state'],
      blockIndex: 0,
      guestMemoryBlockSize: 0,
      guestMemoryHotplugProbe: false,
      cgroupPath: '',
      persistVersion: 0,
      ...fields,
    },
  }))
  return states.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** The root of a version, with the modes that Kata gives to what it makes, under the usual umask. */
function rootOf(version: string): string {
  const root = temporaryFolder()
  cpSync(join(FIXTURES, version), root, { recursive: true, filter: path => !path.endsWith('TREE.txt') })
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    chmodSync(join(root, path), lstatSync(join(root, path)).isDirectory() ? 0o750 : 0o644)
  }
  return root
}

async function storeOn(root: string) {
  return openTestStore(root, { lockTimeout: 500, durable: false })
}

/** What a change of a sandbox has nothing to do with. */
function others(root: string, id: string): unknown {
  const ours = ['', 'state.json', 'lock', 'history.jsonl'].map(name => join(root, id, name))
  return Object.entries(picture(join(root, id))).filter(([path]) => !ours.includes(path))
}

function read(root: string, id: string, name = 'state.json'): string {
  return readFileSync(join(root, id, name), 'utf8')
}

test('every version has its expectations', () => {
  const known = VERSIONS.flatMap(({ versions }) => versions)
  const folders = readdirSync(FIXTURES).filter(name => name !== 'README.md' && name !== 'other-schemas')
  expect(folders.toSorted()).toEqual(known.toSorted())
  for (const { versions, states, persisted } of VERSIONS) {
    for (const version of versions) {
      const ids = readdirSync(join(FIXTURES, version)).filter(name => name !== 'TREE.txt')
      expect(ids.toSorted()).toEqual(Object.keys({ ...states, ...persisted }).toSorted())
    }
  }
})

const each = VERSIONS.flatMap(({ versions, states, persisted }) =>
  versions.map(version => ({ version, states, persisted })),
)

describe.each(each)('Kata $version', ({ version, states, persisted }) => {
  test('is listed, and its root is without a fault', async () => {
    const root = rootOf(version)
    const before = picture(root)
    const store = await storeOn(root)
    expect(await all(store.list())).toMatchObject(entries(states))
    for (const id of Object.keys({ ...states, ...persisted })) {
      const expected = entries(states).find(entry => entry.id === id)
      if (expected === undefined) await expect(store.read(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      else expect(await store.read(id)).toMatchObject(expected.state)
    }
    const findings = (await all(store.check())).map(({ id, code }) => `${id} ${code}`)
    const expected = Object.keys(persisted ?? {}).map(
      id => `${id} ${states?.[id] === undefined ? 'FOREIGN_SCHEMA' : 'MIXED_SCHEMA'}`,
    )
    expect(findings.toSorted()).toEqual(expected.toSorted())
    expect(picture(root)).toEqual(before)
    const command = new Root()
    expect(await command.cli(`check --root ${root}`)).toMatchObject({
      status: version.includes('then') ? 1 : 0,
    })
  })

  test('is imported from the new store on; before, the error names copy', async () => {
    const root = rootOf(version)
    const before = picture(root)
    const target = new Root()
    const { status, stderr } = await target.cli(`import kata ${root}`)
    if (persisted === undefined) {
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining('"sandbox-state copy"'),
      })
      expect((await target.cli(`copy ${root} ${target.path}`)).status).toBe(0)
    } else expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const imported = await all((await storeOn(target.path)).list())
    expect(imported).toMatchObject(entries(persisted ?? states))
    expect(picture(root)).toEqual(before)
  })

  test.runIf(states)('keeps every key and everything else that Kata keeps', async () => {
    const root = rootOf(version)
    const store = await storeOn(root)
    for (const { id, state } of entries(states)) {
      const text = read(root, id)
      const written = encodeState(decodeState(text))
      // From 1.7 to 1.10 Kata's fields are those of the store.
      if (/^1\.(7|8|9|10)\.\d$/.test(version)) expect(written).toBe(text)
      expect(JSON.parse(written)).toMatchObject(JSON.parse(text))
      if (text.includes('9223372036854775807')) expect(written).toContain('9223372036854775807')
      const before = others(root, id)
      await store.update(id, current => ({ ...current, guestMemoryBlockSize: 256 }))
      await store.update(id, ({ ...current }) => ({ ...current, blockIndex: 5 }))
      expect(read(root, id)).toBe(
        encodeState({ ...decodeState(text), guestMemoryBlockSize: 256, blockIndex: 5 }),
      )
      if (state.state === 'running') await store.transition(id, 'running', 'stopped')
      expect(others(root, id)).toEqual(before)
      await store.delete(id, { force: true })
      await expect(store.read(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      expect(readdirSync(root).includes(id) ? others(root, id) : []).toEqual(before)
    }
  })

  test.runIf(persisted && !states)('is not touched where it keeps a persist.json', async () => {
    await expectUntouched(rootOf(version), Object.keys(persisted ?? {}))
  })
})

test.each(['rust-runtime', 'runc', 'youki'])(
  'a sandbox of another program (%s) is neither listed nor touched',
  async id => {
    const root = rootOf('other-schemas')
    await expectUntouched(root, [id])
    const findings = await all((await storeOn(root)).check())
    expect(findings).toContainEqual(
      expect.objectContaining({ id, code: 'FOREIGN_SCHEMA', repairable: false }),
    )
  },
)

/** Not a byte, a time or a mode. */
async function expectUntouched(root: string, ids: readonly string[]): Promise<void> {
  const store = await storeOn(root)
  const before = picture(root)
  expect(await all(store.list())).toEqual([])
  for (const id of ids) {
    const missing = { code: 'NOT_FOUND', id }
    await expect(store.read(id)).rejects.toMatchObject(missing)
    await expect(store.transition(id, 'ready', 'running')).rejects.toMatchObject(missing)
    await expect(store.update(id, state => state)).rejects.toMatchObject(missing)
    await expect(store.delete(id, { force: true })).rejects.toMatchObject(missing)
    await expect(store.create(id)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      id,
      message: `sandbox ${id} already exists, in another program's format`,
    })
  }
  await store.repair()
  expect(picture(root)).toEqual(before)
}
