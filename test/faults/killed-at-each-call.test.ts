import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import {
  AIMED,
  disturbChange,
  noStrace,
  startPrepared,
  traceChange,
  untilHit,
  ways,
  writes,
} from '../support/strace.js'
import { CHANGES, expectWalk, isState, namesIn, stateOf, TIDY } from './sandbox.js'

// A process is killed before each system call of a change, one at a time: so after the call before it, in every state
// that a kill can leave: `npm test` at some calls in memory, `npm run test:long` at each, and on a disk at each that
// writes.

if (noStrace !== undefined) console.warn(`no process is killed at a call: ${noStrace}`)

/** Kills at every so many calls, and at the last. */
const STEP = effort(40, 3, 1)
/** How many kills must leave the old state, and how many the new one; else the calls were not those of the change. */
const ENOUGH = effort(0, 0, 2)

/** In ms: a promise of 50 in the 99th of 100 cases, and room for a machine that does other things, too. */
const AT_ONCE = 1000

describe.skipIf(noStrace !== undefined).each(effort(ways.slice(0, 1), ways))(
  'killed on $name',
  ({ name, folder, how }) => {
    test.each(CHANGES)('before each call of a $what: old or new, and usable at once', AIMED, async change => {
      const { what, before, after } = change
      const root = temporaryFolder(folder)
      const logs = temporaryFolder()
      const store = await openStore(root, { durable: false })
      onTestFinished(() => store.close())
      if (before !== undefined) await store.create('traced')
      const calls = await traceChange(await startPrepared(root, ...how), { what, id: 'traced' }, logs)
      const killing = effort(name === 'memory', name === 'memory', true) ? calls : calls.filter(writes)
      expect(killing.length).toBeGreaterThan(8)
      const chosen = killing.filter((_, i) => i % STEP === 0 || i === killing.length - 1)
      const seen = { old: 0, new: 0 }
      let next = startPrepared(root, ...how)
      for (const [i, call] of chosen.entries()) {
        let id = ''
        const where = `killed before call ${i} of ${chosen.length}, ${call.text}`
        const { answer } = await untilHit(call, async attempt => {
          id = `x${i}y${attempt}`
          if (before !== undefined) await store.create(id)
          const child = await next
          next = startPrepared(root, ...how)
          return disturbChange(child, { what, id }, call, 'signal=SIGKILL', logs)
        })
        expect(answer).toBeUndefined()
        const state = await stateOf(store, id)
        const [isOld, isNew] = [isState(state, before), isState(state, after)]
        expect.soft(isOld || isNew, `${where}: ${JSON.stringify(state)}`).toBe(true)
        seen[isNew ? 'new' : 'old']++
        await expectUsable(store, root, id, where)
      }
      await next
      expect(seen.old).toBeGreaterThan(ENOUGH)
      expect(seen.new).toBeGreaterThan(ENOUGH)
    })
  },
)

/** The next change comes through at once and leaves the folder in order, its history a walk of the state machine. */
async function expectUsable(store: SandboxStore, root: string, id: string, where: string): Promise<void> {
  const start = performance.now()
  const state = (await stateOf(store, id)) ?? (await store.create(id))
  await store.update(id, current => ({ ...current, guestMemoryBlockSize: 7 }))
  expect.soft(performance.now() - start, where).toBeLessThan(AT_ONCE)
  expect.soft(await store.read(id), where).toMatchObject({ ...state, guestMemoryBlockSize: 7 })
  expect.soft(namesIn(root, id), where).toEqual(TIDY)
  expect.soft(readFileSync(join(root, id, 'lock'), 'latin1'), where).toMatch(/^\{"held":false,/)
  expectWalk(root, id, where)
  await store.delete(id, { force: true })
  expect.soft(namesIn(root, id), where).toBeUndefined()
}
