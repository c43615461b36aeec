import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore, type SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from './support/all.js'
import { temporaryFolder } from './support/root.js'

const fixtures = fileURLToPath(new URL('../fixtures/kata', import.meta.url))

async function storeOf(version: string): Promise<{ root: string; store: SandboxStore }> {
  const root = temporaryFolder()
  cpSync(join(fixtures, version), root, { recursive: true })
  const store = await openStore(root)
  onTestFinished(() => store.close())
  return { root, store }
}

/** The files below a folder that a change of the sandbox has nothing to do with. */
function foreignFiles(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const paths = files.map(entry => join(entry.parentPath, entry.name))
  const ours = ['state.json', 'lock', 'history.jsonl'].map(name => join(folder, name))
  return Object.fromEntries(
    paths.filter(path => !ours.includes(path)).map(path => [path, readFileSync(path, 'utf8')]),
  )
}

const versions = [
  ['1.0', 'running', '"fstype":"","hotpluggedDrive":false,"rootfsPCIAddr":""'],
  ['1.2', 'paused', '"fstype":"","hotpluggedDrive":true,"rootfsPCIAddr":"02:00","pid":31544'],
  ['1.5', 'ready', '"BlockDeviceID":"","fstype":"","pid":0'],
  [
    '1.6',
    'running',
    '"BlockDeviceID":"","fstype":"","pid":902,"resources":{"cpu":{"shares":1024,"quota":9223372036854775807,"period":100000},"memory":{"limit":268435456}}',
  ],
  ['1.9', 'running', ''],
  ['1.11', 'stopped', '"blockIndexMap":{"0":{},"1":{}},"cgroupPaths":{"cpu":"/kata_sandbox-1.11"}'],
] as const

describe.each(versions)('a state file of Kata %s', (version, state, unknown) => {
  const id = `sandbox-${version}`

  test('is read and listed', async () => {
    const { store } = await storeOf(version)
    const read = await store.read(id)
    expect(read.state).toBe(state)
    expect(await all(store.list())).toMatchObject([{ id, state: read }])
  })

  test('is changed, keeps its unknown keys in their order, and nothing beside it is touched', async () => {
    const { root, store } = await storeOf(version)
    const before = foreignFiles(join(root, id))
    await store.update(id, current => ({ ...current, guestMemoryBlockSize: 256 }))
    await store.update(
      id,
      ({ state, blockIndex, guestMemoryBlockSize, guestMemoryHotplugProbe, cgroupPath }) => ({
        ...{
          state,
          blockIndex,
          guestMemoryBlockSize,
          guestMemoryHotplugProbe,
          cgroupPath,
          persistVersion: 0,
        },
        blockIndex: blockIndex + 1,
      }),
    )
    if (state === 'running') await store.transition(id, 'running', 'paused')
    const text = readFileSync(join(root, id, 'state.json'), 'utf8')
    expect(text).toMatch(
      /^\{"state":"\w+","blockIndex":\d,"guestMemoryBlockSize":256,"guestMemoryHotplugProbe":(true|false)/,
    )
    expect(text.endsWith(unknown === '' ? '"}' : `,${unknown}}`)).toBe(true)
    expect(foreignFiles(join(root, id))).toEqual(before)
  })

  test('is deleted, and what Kata keeps beside it stays', async () => {
    const { root, store } = await storeOf(version)
    const before = foreignFiles(join(root, id))
    await store.delete(id, { force: true })
    await expect(store.read(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const isThere = readdirSync(root).includes(id)
    expect(isThere ? foreignFiles(join(root, id)) : {}).toEqual(before)
    if (isThere) expect(readdirSync(join(root, id))).toContain('lock')
  })
})

describe.each(['persist-only', 'rust-runtime'])('a folder of another schema (%s)', id => {
  test('is skipped and never touched', async () => {
    const { root, store } = await storeOf('other-schemas')
    const before = readdirSync(join(root, id)).map(name => [name, readFileSync(join(root, id, name), 'utf8')])
    expect(await all(store.list())).toEqual([])
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
    expect(
      readdirSync(join(root, id)).map(name => [name, readFileSync(join(root, id, name), 'utf8')]),
    ).toEqual(before)
  })
})
