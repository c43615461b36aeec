import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, noOrdinaryUser, ORDINARY_USER, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import type { Answer } from '../support/strace.js'
import { expectWalk, faultsOf, namesIn, stateOf, TIDY } from './sandbox.js'

// A daemon that started as root becomes an ordinary user, in the midst of a change.

const missing = ORDINARY_USER === undefined ? 'it takes root to drop rights' : noOrdinaryUser
if (missing !== undefined) console.warn(`no rights are dropped: ${missing}`)

const { uid, gid } = ORDINARY_USER ?? { uid: 0, gid: 0 }
const preloaded = fileURLToPath(new URL('../programs/slow-disk.mjs', import.meta.url))
const WAYS = filesystems.map(({ name, folder }) =>
  name === 'memory'
    ? { name, folder, env: {} }
    : { name: `slow ${name}`, folder, env: { NODE_OPTIONS: `--import=${preloaded}` } },
)

describe.skipIf(missing !== undefined).each(WAYS)('rights dropped inside a change, on $name', way => {
  async function run(owner: number) {
    const root = temporaryFolder(way.folder)
    chownSync(root, owner, owner === 0 ? 0 : gid)
    const store = await openStore(root, { durable: false, lockTimeout: 0 })
    onTestFinished(() => store.close())
    for (const id of ['a', 'other']) await store.create(id)
    const env = { ...process.env, ...way.env }
    const child = startProgram('dropped-rights', [root, String(uid), 'a'], { env })
    return { root, store, outcomes: (await nextMessage(child)) as Record<string, Answer> }
  }

  test("nothing changes in that user's own root", async () => {
    const { store, outcomes } = await run(uid)
    for (const [what, { ok, message }] of Object.entries(outcomes)) {
      expect.soft(ok, `${what}: ${message}`).toBe(true)
    }
    expect(outcomes.list?.result).toEqual(['a', 'new'])
    expect(await store.read('a')).toMatchObject({ state: 'running', blockIndex: 2 })
    expect(await all(store.check())).toEqual([])
  })

  test("in root's, every call fails with a typed error, and root goes on at once", async () => {
    const { root, store, outcomes } = await run(0)
    for (const [what, { ok, code, cause, message }] of Object.entries(outcomes)) {
      expect
        .soft({ ok, code, cause }, `${what}: ${message}`)
        .toEqual({ ok: false, code: 'IO_ERROR', cause: 'EACCES' })
    }
    for (const id of ['a', 'other']) {
      expect(await stateOf(store, id)).toMatchObject({ state: 'ready', blockIndex: 0 })
    }
    const findings = await all(store.check())
    expect(findings.map(({ code }) => code).sort()).toEqual(faultsOf(namesIn(root, 'a')).sort())
    await store.update('a', state => ({ ...state, blockIndex: 7 }))
    expect(namesIn(root, 'a')).toEqual(TIDY)
    expectWalk(root, 'a', join(root, 'a'))
    expect(await all(store.check())).toEqual([])
  })
})
