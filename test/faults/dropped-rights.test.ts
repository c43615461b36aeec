import { chownSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { nextMessage, noOrdinaryUser, ORDINARY_USER, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { type Answer, SLOW, ways } from '../support/strace.js'
import { expectUsable, faultsOf, namesIn, stateOf } from './sandbox.js'

// A daemon that started as root becomes an ordinary user, in the midst of a change.

const missing = ORDINARY_USER === undefined ? 'it takes root to drop rights' : noOrdinaryUser
if (missing !== undefined) console.warn(`no rights are dropped: ${missing}`)

const { uid, gid } = ORDINARY_USER ?? { uid: 0, gid: 0 }

describe.skipIf(missing !== undefined).each(ways)(
  'rights dropped inside a change, on $name',
  ({ folder, how }) => {
    async function run(owner: number) {
      const root = temporaryFolder(folder)
      chownSync(root, owner, owner === 0 ? 0 : gid)
      const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
      for (const id of ['a', 'other']) await store.create(id)
      const env = { ...process.env, ...(how.includes('slow') ? SLOW : {}) }
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
      await expectUsable(store, root, 'a', 'root goes on')
      expect(await all(store.check())).toEqual([])
    })
  },
)
