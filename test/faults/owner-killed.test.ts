import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, long } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import {
  AIMED,
  ask,
  disturbChange,
  noStrace,
  startPrepared,
  traceChange,
  untilHit,
  ways,
  writes,
} from '../support/strace.js'
import { expectWalk, namesIn, TIDY } from './sandbox.js'

// A process is killed before system calls of own, release and reap, one at a time: before each in `npm run test:long`.

/** Kills at one call in this many, and at the last. */
const STEP = effort(40, 3, 1)

interface Case {
  readonly what: 'own' | 'release' | 'reap'
  /** What the sandbox may be once the process was killed, in the order in which a later kill finds it. */
  readonly after: readonly string[]
}

const CASES: readonly Case[] = [
  { what: 'own', after: ['running, unowned', 'running, orphaned'] },
  { what: 'release', after: ['running, orphaned', 'running, unowned'] },
  { what: 'reap', after: ['running, orphaned', 'stopped, orphaned', 'stopped, unowned'] },
]

describe.skipIf(noStrace !== undefined).each(effort(ways.slice(0, 1), ways))(
  'killed on $name',
  ({ name, folder, how }) => {
    test.each(CASES)(
      'before each call of $what: it is what it was, or what it should be',
      AIMED,
      async one => {
        const { what, after } = one
        const root = temporaryFolder(folder)
        const logs = temporaryFolder()
        const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
        const tracee = await startPrepared(root, ...how)
        await prepare(store, root, tracee, what, 'traced')
        const made = await traceChange(tracee, { what, id: 'traced' }, logs)
        const killing = effort(name === 'memory', name === 'memory', true) ? made : made.filter(writes)
        expect(killing.length).toBeGreaterThan(5)
        const calls = killing.filter((_, i) => i % STEP === 0 || i === killing.length - 1)
        tracee.kill('SIGKILL')
        await store.delete('traced', { force: true })
        const seen: string[] = []
        for (const [i, call] of calls.entries()) {
          let id = ''
          const { answer } = await untilHit(call, async (aimed, attempt) => {
            id = `x${i}y${attempt}`
            const child = await startPrepared(root, ...how)
            await prepare(store, root, child, what, id)
            return disturbChange(child, { what, id }, aimed, 'signal=SIGKILL', logs)
          })
          expect(answer).toBeUndefined()
          const { state, owner } = await store.inspect(id)
          const found = `${state.state}, ${owner?.state ?? 'unowned'}`
          expect.soft(after, `killed before call ${i} of ${calls.length}, ${call.text}`).toContain(found)
          seen.push(found)
          await expectUsable(store, root, id, call.text)
        }
        // Some kills came before the change and some after it, and no later kill finds an earlier state.
        expect([...new Set(seen)]).toEqual(after.filter(each => seen.includes(each)))
        expect(seen).toContain(after[0])
        expect(seen).toContain(after.at(-1))
      },
    )
  },
)

const [disk] = ways.filter(({ name }) => name !== 'memory')

describe.runIf(long && noStrace === undefined && disk !== undefined)('a flush of own', () => {
  test('that fails leaves the orphan that was there, or none', AIMED, async () => {
    const root = temporaryFolder(disk?.folder)
    const logs = temporaryFolder()
    const store = await openTestStore(root)
    for (const id of ['traced', 'orphan', 'none']) await store.create(id)
    const calls = await traceChange(await startPrepared(root), { what: 'own', id: 'traced' }, logs)
    const flushes = calls.filter(({ name }) => name === 'fsync')
    expect(flushes.map(({ text }) => text).sort()).toEqual(['fsync .', 'fsync owner'])
    await leaveOrphan(root, 'orphan')
    const { owner } = await store.inspect('orphan')
    expect(owner).toMatchObject({ state: 'orphaned' })
    for (const flush of flushes) {
      for (const id of ['orphan', 'none']) {
        const child = await startPrepared(root)
        const { answer, hit } = await disturbChange(child, { what: 'own', id }, flush, 'error=EIO', logs)
        expect(hit).toMatch(/^fsync/)
        expect(answer).toMatchObject({ ok: false, code: 'IO_ERROR', cause: 'EIO', leaked: 0 })
        expect((await store.inspect(id)).owner).toEqual(id === 'orphan' ? owner : null)
      }
    }
  })
})

/** What the call needs: an owner, who is the process itself, or is dead. */
async function prepare(
  store: SandboxStore,
  root: string,
  child: ChildProcess,
  what: Case['what'],
  id: string,
): Promise<void> {
  await store.create(id)
  await store.transition(id, 'ready', 'running')
  if (what === 'release') expect(await ask(child, { what: 'own', id })).toMatchObject({ ok: true })
  if (what === 'reap') await leaveOrphan(root, id)
}

/** Owned for a moment by a process that ended. */
async function leaveOrphan(root: string, id: string): Promise<void> {
  const source =
    "await (await (await import('sandbox-state')).openStore(process.argv[1])).own(process.argv[2])"
  const owner = spawn(process.execPath, ['--input-type=module', '-e', source, root, id], {
    cwd: import.meta.dirname,
    stdio: 'inherit',
  })
  expect(await once(owner, 'exit')).toEqual([0, null])
}

/** Another process can own it at once, and release it. */
async function expectUsable(store: SandboxStore, root: string, id: string, where: string): Promise<void> {
  const owner = await store.own(id)
  await owner.release()
  expect.soft(await all(store.orphans()), where).toEqual([])
  await store.update(id, state => state)
  expect.soft(namesIn(root, id), where).toEqual([...TIDY, 'owner'].sort())
  expect.soft(readFileSync(join(root, id, 'owner'), 'latin1'), where).toMatch(/^\{"held":false,/)
  expectWalk(root, id, where)
  await store.delete(id, { force: true })
  expect.soft(namesIn(root, id), where).toBeUndefined()
}
