import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
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
import { CHANGES, expectUsable, isState, namesIn, stateOf } from './sandbox.js'

// A process is killed before a system call of a change, and another process goes on: at each call in turn, so that every
// state that a kill can leave is met.

if (noStrace !== undefined) console.warn(`no process is killed at a call: ${noStrace}`)

/** Kills at one call in this many, and at the last. */
const STEP = effort(40, 3, 1)
/** How many kills must leave the old state, and how many the new one; else the calls were not those of the change. */
const ENOUGH = effort(0, 0, 2)

describe.skipIf(noStrace !== undefined).each(effort(ways.slice(0, 1), ways))(
  'killed on $name',
  ({ name, folder, how }) => {
    test.each(CHANGES)('before each call of a $what: old or new, and usable at once', AIMED, async change => {
      const { what, before, after } = change
      const root = temporaryFolder(folder)
      const logs = temporaryFolder()
      const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
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
        const { answer } = await untilHit(call, async (aimed, attempt) => {
          id = `x${i}y${attempt}`
          if (before !== undefined) await store.create(id)
          const child = await next
          next = startPrepared(root, ...how)
          return disturbChange(child, { what, id }, aimed, 'signal=SIGKILL', logs)
        })
        expect(answer).toBeUndefined()
        const state = await stateOf(store, id)
        const [isOld, isNew] = [isState(state, before), isState(state, after)]
        expect.soft(isOld || isNew, `${where}: ${JSON.stringify(state)}`).toBe(true)
        seen[isNew ? 'new' : 'old']++
        await expectUsable(store, root, id, where)
        await store.delete(id, { force: true })
        expect.soft(namesIn(root, id), where).toBeUndefined()
      }
      await next
      expect(seen.old).toBeGreaterThan(ENOUGH)
      expect(seen.new).toBeGreaterThan(ENOUGH)
    })
  },
)
