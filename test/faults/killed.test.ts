import { openStore, type SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { filesystems, temporaryFolder } from '../support/root.js'
import { type Load, runLoad } from './killed-load.js'
import { findViolation } from './linearizability.js'
import { expectWalk, namesIn, stateOf, TIDY } from './sandbox.js'
import { sandboxModel } from './sandbox-model.js'

// Six processes, and one that knows only proper-lockfile, change the same few sandboxes, while one after another is
// killed, preferably inside a change. `npm run soak` does so for thousands of kills, in rounds.

const soak = process.env.SANDBOX_STATE_SOAK !== undefined
const ROUNDS = soak ? 10 : 1
const KILLS = soak ? 200 : 150
/** In ms: one round ends then, whatever it came to. */
const LONGEST = soak ? 180_000 : 40_000

describe.each(filesystems)('processes that are killed, on $name', ({ name, folder }) => {
  test.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
    'round %i: nothing acknowledged is lost, no two are inside, each history is a walk',
    async round => {
      const root = temporaryFolder(folder)
      const store = await openStore(root)
      for (const id of ['count-0', 'count-1', 'walk-0', 'walk-1']) await store.create(id)
      const load = await runLoad(
        root,
        { logs: temporaryFolder(), witnesses: temporaryFolder() },
        { kills: KILLS, deadline: performance.now() + LONGEST },
      )
      const calls = [...load.operations.values()].reduce((sum, list) => sum + list.length, 0)
      console.log(
        `${name}, round ${round}: ${load.kills} kills, ${load.killedHolders} of them inside a change; ${calls} calls`,
      )
      expect(load.kills).toBeGreaterThan(10)
      expect(load.killedHolders).toBeGreaterThan(load.kills / 20)
      expect.soft(load.meetings).toEqual([])
      expect.soft(load.robbed).toBeUndefined()
      expectExpectedCodes(load)
      await expectCount(store, load, 'count-0', load.byStranger)
      await expectCount(store, load, 'count-1', 0)
      expectLinearizable(load)
      for (const id of load.operations.keys()) {
        if ((await stateOf(store, id)) === undefined) await store.create(id)
        await store.update(id, state => state)
        expectWalk(root, id, id)
        expect((namesIn(root, id) ?? []).filter(name => name !== 'history.jsonl.1')).toEqual(TIDY)
      }
      await store.close()
    },
    LONGEST + 60_000,
  )
})

/** Acknowledged, at least; and at most those besides that were in flight at a kill. */
async function expectCount(store: SandboxStore, load: Load, id: string, byOthers: number): Promise<void> {
  const increments = (load.operations.get(id) ?? []).filter(({ input }) => input.kind === 'increment')
  const inFlight = increments.filter(({ output }) => output === undefined).length
  const acknowledged = increments.length - inFlight + byOthers
  const { blockIndex } = await store.read(id)
  expect(increments.length).toBeGreaterThan(50)
  expect.soft(blockIndex, `${id}, ${byOthers} by the stranger`).toBeGreaterThanOrEqual(acknowledged)
  expect.soft(blockIndex, id).toBeLessThanOrEqual(acknowledged + inFlight)
}

/** Errors that say how the sandbox was, not that something went wrong. */
function expectExpectedCodes(load: Load): void {
  const allowed: Record<string, readonly string[]> = {
    count: [],
    walk: ['STATE_MISMATCH'],
    phoenix: ['STATE_MISMATCH', 'NOT_FOUND', 'ALREADY_EXISTS', 'INVALID_TRANSITION'],
  }
  for (const [id, operations] of load.operations) {
    const kind = id.replace(/-\d$/, '')
    const codes = allowed[kind] ?? []
    const others = operations.filter(
      ({ output }) => output?.code !== undefined && !codes.includes(output.code),
    )
    expect.soft(others, id).toEqual([])
  }
}

/** All but the sandbox into which a stranger writes, whose calls are not on record. */
function expectLinearizable(load: Load): void {
  for (const [id, operations] of load.operations) {
    if (id === 'count-0') continue
    const initial = id.startsWith('phoenix') ? null : ({ state: 'ready', blockIndex: 0 } as const)
    expect.soft(findViolation(sandboxModel(initial), operations), id).toBeUndefined()
  }
}
