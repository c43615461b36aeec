import type { ChildProcess } from 'node:child_process'
import type { SandboxState, SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import {
  AIMED,
  type Answer,
  type Asked,
  ask,
  type Call,
  disturbChange,
  ioEvent,
  noStrace,
  startPrepared,
  traceChange,
  untilHit,
  ways,
} from '../support/strace.js'
import { expectUsable, isState, stateOf } from './sandbox.js'

// Three changes at once, one of which is disturbed: it alone fails, and none is lost or mixed up with another.

if (noStrace !== undefined) console.warn(`no batch is disturbed: ${noStrace}`)

const MEMBERS = ['', '-2', '-3']
const BEFORE = { state: 'ready', blockIndex: 0 } as const
const AFTER = { state: 'ready', blockIndex: 1 } as const

/** In memory each change is made on the spot, alone. */
const disks = ways.filter(({ name }) => name !== 'memory')

interface Batches {
  readonly root: string
  readonly store: SandboxStore
  readonly start: () => Promise<ChildProcess>
  readonly disturb: (
    child: ChildProcess,
    id: string,
    call: Call,
    inject: string,
    path?: string,
  ) => ReturnType<typeof disturbChange>
}

async function setUp({ folder, how }: (typeof ways)[number]): Promise<Batches> {
  const root = temporaryFolder(folder)
  const logs = temporaryFolder()
  // What the test itself does need not wait for the disk.
  const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
  const start = () => startPrepared(root, ...how)
  const asked = (id: string): Asked => ({ what: 'batch', id })
  return {
    root,
    store,
    start,
    disturb: (child, id, call, inject, path) => disturbChange(child, asked(id), call, inject, logs, path),
  }
}

/** The calls of the thread that makes the changes. */
async function traceBatch({ folder, how }: (typeof ways)[number]): Promise<readonly Call[]> {
  const root = temporaryFolder(folder)
  const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
  await createMembers(store, 'traced')
  const asked: Asked = { what: 'batch', id: 'traced' }
  const calls = await traceChange(await startPrepared(root, ...how), asked, temporaryFolder())
  return calls.filter(({ thread }) => thread !== 0)
}

async function createMembers(store: SandboxStore, id: string): Promise<void> {
  for (const member of MEMBERS) await store.create(id + member)
}

/** The second failed and is as it must be then; the others were changed. */
async function expectOneFailed(
  store: SandboxStore,
  root: string,
  answer: Answer | undefined,
  { code, errno, owed }: { code: string; errno: string; owed: Partial<SandboxState> },
): Promise<void> {
  const outcomes = (answer?.result ?? []) as Answer[]
  expect(outcomes.map(outcome => outcome.code ?? outcome.ok)).toEqual([true, code, true])
  expect(outcomes[1]).toMatchObject({ cause: errno, path: expect.stringMatching(`^${root}/x-2`) })
  for (const member of MEMBERS) {
    const state = await stateOf(store, `x${member}`)
    expect(isState(state, member === '-2' ? owed : AFTER)).toBe(true)
    await expectUsable(store, root, `x${member}`, code)
  }
}

describe.skipIf(noStrace !== undefined).each(disks)('three changes at once, on $name', way => {
  let traced: Promise<readonly Call[]> | undefined
  /** They are the same in every root, and tracing takes long. */
  const callsOfBatch = () => {
    traced ??= traceBatch(way)
    return traced
  }

  test('are flushed by two submissions', AIMED, async () => {
    const calls = await callsOfBatch()
    expect(calls.filter(({ name }) => name === 'io_submit')).toHaveLength(2)
    expect(calls.filter(({ name }) => name === 'fsync')).toEqual([])
  })

  test('killed before each call that writes: each is old or new, and usable at once', AIMED, async () => {
    const { root, store, start, disturb } = await setUp(way)
    const calls = await callsOfBatch()
    const chosen = calls.filter(
      ({ name, text }) =>
        /^(mkdirat|rmdir|renameat|unlinkat|write|pwrite64|io_submit)$/.test(name) || text.endsWith('writing'),
    )
    expect(chosen.length).toBeGreaterThan(20)
    const seen = new Set<string>()
    let next = start()
    const sample = chosen.filter(
      ({ name }, i) => name === 'renameat' || i % effort(40, 3, 1) === 0 || i === chosen.length - 1,
    )
    for (const [i, call] of sample.entries()) {
      let id = ''
      const where = `killed before ${call.text}`
      const { answer } = await untilHit(call, async (aimed, attempt) => {
        id = `x${i}y${attempt}`
        await createMembers(store, id)
        const child = await next
        next = start()
        return disturb(child, id, aimed, 'signal=SIGKILL')
      })
      expect(answer).toBeUndefined()
      const states = await Promise.all(MEMBERS.map(member => stateOf(store, id + member)))
      for (const state of states)
        expect.soft(isState(state, BEFORE) || isState(state, AFTER), where).toBe(true)
      seen.add(states.map(state => (isState(state, AFTER) ? 'new' : 'old')).join())
      for (const member of MEMBERS) await expectUsable(store, root, id + member, where)
    }
    await next
    // Some kills came before all renames, some in the middle of them and some after.
    expect(seen).toContain('old,old,old')
    expect(seen).toContain('new,old,old')
    expect(seen).toContain('new,new,new')
  })

  const failures = ['openat:EMFILE', 'renameat:EIO']
  const more = [
    'mkdirat:ENOSPC',
    'flock:ENOLCK',
    'openat:EIO',
    'openat:ENOSPC',
    'mkdirat:EIO',
    'statx:EIO',
    'pread64:EIO',
  ]
  test.each([...failures, ...effort([], more)])(
    '%s at one of them fails that one at most',
    AIMED,
    async rule => {
      const [name, errno] = rule.split(':')
      const { root, store, start, disturb } = await setUp(way)
      const calls = await callsOfBatch()
      const child = await start()
      let failures = 0
      const sample = calls.filter(each => each.name === name).filter((_, i) => i % effort(3, 1) === 0)
      for (const [i, call] of sample.entries()) {
        let id = ''
        const { answer } = await untilHit(call, async (aimed, attempt) => {
          id = `x${i}y${attempt}`
          await createMembers(store, id)
          return disturb(child, id, aimed, `error=${errno}`)
        })
        const outcomes = (answer?.result ?? []) as Answer[]
        expect(outcomes).toHaveLength(MEMBERS.length)
        for (const [n, outcome] of outcomes.entries()) {
          const member = MEMBERS[n] ?? ''
          const where = `${errno} at ${call.text}, then ${member}: ${outcome.code ?? 'done'}: ${outcome.message}`
          const state = await stateOf(store, id + member)
          if (outcome.ok) expect.soft(isState(state, AFTER), where).toBe(true)
          else {
            failures++
            expect
              .soft([outcome.code, outcome.cause], where)
              .toEqual([expect.stringMatching(/^(IO_ERROR|OUTCOME_UNKNOWN)$/), errno])
            expect.soft(outcome.path, where).toMatch(new RegExp(`^${root}/${id}${member}(/|$)`))
            const owed = outcome.code === 'OUTCOME_UNKNOWN' ? AFTER : BEFORE
            expect.soft(isState(state, owed), where).toBe(true)
          }
          await expectUsable(store, root, id + member, where)
        }
        expect.soft(outcomes.filter(({ ok }) => !ok).length, call.text).toBeLessThan(2)
        expect.soft(answer?.leaked, call.text).toBe(0)
        // Alone and slow, so that the next batch is made in the thread again.
        expect((await ask(child, { what: 'update', id })).ok).toBe(true)
      }
      expect(failures).toBeGreaterThan(0)
    },
  )

  test.each(effort(['ENOSPC'], ['ENOSPC', 'EIO']))(
    '%s at the write of one of them fails that one',
    AIMED,
    async errno => {
      const { root, store, start, disturb } = await setUp(way)
      const calls = await callsOfBatch()
      await createMembers(store, 'x')
      const write: Call = { thread: calls[0]?.thread ?? -1, name: 'write', nth: 1, text: '' }
      const path = `${root}/x-2/.state.json.tmp`
      const { answer, hit } = await disturb(await start(), 'x', write, `error=${errno}`, path)
      expect(hit).toContain('.state.json.tmp')
      await expectOneFailed(store, root, answer, { code: 'IO_ERROR', errno, owed: BEFORE })
    },
  )

  test.skipIf(process.arch !== 'x64').each([
    { nth: 1, code: 'IO_ERROR', owed: BEFORE },
    { nth: 2, code: 'OUTCOME_UNKNOWN', owed: AFTER },
  ])('flush $nth fails for one of them: $code', AIMED, async ({ nth, code, owed }) => {
    const { root, store, start, disturb } = await setUp(way)
    const calls = await callsOfBatch()
    const thread = calls[0]?.thread ?? -1
    await createMembers(store, 'x')
    const getEvents: Call = { thread, name: 'io_getevents', nth, text: '' }
    const events = [ioEvent(2, 0), ioEvent(0, 0), ioEvent(1, -5)].join('')
    const { answer } = await disturb(await start(), 'x', getEvents, `poke_exit=@arg4=${events}`)
    await expectOneFailed(store, root, answer, { code, errno: 'EIO', owed })
  })
})
