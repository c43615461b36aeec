import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, long } from '../support/effort.js'
import { noLibcFaults, startWithFaults } from '../support/libc-faults.js'
import { nextMessage } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { type Answer, SLOW } from '../support/strace.js'
import { CHANGES, expectUsable, expectWalk, faultsOf, isState, namesIn, stateOf } from './sandbox.js'

// Two things go wrong in one change: each of its calls fails, and so does each call that it makes after that, or the
// process is killed there.

if (noLibcFaults !== undefined) console.warn(`no two calls of one change fail: ${noLibcFaults}`)

const LONG = { timeout: effort(60_000, 600_000, 3_600_000) }

interface Place {
  readonly name: string
  readonly folder: string
  readonly environment: NodeJS.ProcessEnv
  readonly inThread: boolean
  /** One pair in this many is tried. */
  readonly every: number
}

/** The changes are made on the spot, or in the commit thread. There each kill costs the start of a process. */
const places: readonly Place[] = [
  ...filesystems
    .slice(0, effort(1, 1, 2))
    .map(each => ({ ...each, environment: {}, inThread: false, every: effort(7, 1) })),
  ...filesystems
    .filter(({ name }) => long && name !== 'memory')
    .map(({ name, folder }) => ({
      name: `slow ${name}`,
      folder,
      environment: SLOW,
      inThread: true,
      every: effort(23, 23, 3),
    })),
]

/** What becomes of the first call and of the second. */
const FAULTS = {
  firsts: effort(['EIO'], ['EIO'], ['EIO', 'ENOSPC', 'EACCES']),
  seconds: effort(['EIO', 'KILL'], ['EIO', 'KILL'], ['EIO', 'ENOSPC', 'EACCES', 'KILL']),
}

interface Row extends Partial<Answer> {
  readonly id: string
  /** What failed. */
  readonly where: string
  readonly killed?: boolean
}

interface Run {
  readonly root: string
  /** Of another process than the one that was disturbed. */
  readonly store: SandboxStore
  readonly child: ChildProcess
  readonly rows: readonly Row[]
}

/** Disturbs a change in every way. */
async function run(what: string, { folder, environment, inThread, every }: Place): Promise<Run> {
  const root = temporaryFolder(folder)
  const child = await startWithFaults('pairs', [root], environment)
  const rows = await request<Row>(child, { what, ...FAULTS, every })
  const kills = rows.filter(({ killed }) => killed).length
  console.log(`${what} in ${folder}: ${rows.length} pairs of failures, ${kills} of them with a kill`)
  expect(rows.length - kills).toBeGreaterThan(5)
  expect(kills).toBeGreaterThan(5)
  if (inThread) expect(rows.some(({ where }) => where.includes('in a thread'))).toBe(true)
  return { root, store: await open(root), child, rows }
}

function open(root: string): Promise<SandboxStore> {
  return openTestStore(root, { durable: false, lockTimeout: 0 })
}

async function request<T>(child: ChildProcess, message: object): Promise<readonly T[]> {
  const answer = nextMessage(child)
  child.send(message)
  return (await answer) as T[]
}

/** The process that was disturbed makes one more change of each sandbox. */
async function expectGoesOn({ child, rows }: Run, again: string, ids: readonly string[]): Promise<void> {
  const answers = await request<Answer>(child, { again, ids })
  for (const [i, { ok, message }] of answers.entries()) {
    const row = rows.find(({ id }) => id === ids[i])
    expect.soft(ok, `${row?.where}; then ${again}: ${message}`).toBe(true)
  }
  child.disconnect()
}

function describeRow({ where, killed, code, stack }: Row): string {
  return `${where}: ${killed ? 'killed' : (code ?? 'done')} ${stack ?? ''}`
}

describe.skipIf(noLibcFaults !== undefined).each(places)('two failures of one change, on $name', place => {
  test.each(CHANGES)('a $what: old or new, usable at once, and what is left is named', LONG, async change => {
    const { what, before, after } = change
    const disturbed = await run(what, place)
    const { root, store, rows } = disturbed
    const findings = await all(store.check())
    for (const row of rows) {
      const { id, ok, code, killed, leaked = 0 } = row
      const where = describeRow(row)
      const state = await stateOf(store, id)
      const [isOld, isNew] = [isState(state, before), isState(state, after)]
      if (killed || code === 'OUTCOME_UNKNOWN') expect.soft(isOld || isNew, where).toBe(true)
      else if (ok) expect.soft(isNew, where).toBe(true)
      else {
        expect.soft(code, where).toBe('IO_ERROR')
        expect.soft(isOld, where).toBe(true)
      }
      expect.soft(leaked, where).toBe(0)
      const found = findings.filter(finding => finding.id === id).map(finding => finding.code)
      expect.soft(found.sort(), where).toEqual(faultsOf(namesIn(root, id)).sort())
      await expectUsable(store, root, id, where)
    }
    await expectGoesOn(
      disturbed,
      'update',
      rows.map(({ id }) => id),
    )
  })

  test.skipIf(place.inThread)('an own: owned, or open to others at once', LONG, async () => {
    const { store, rows } = await run('own', place)
    for (const row of rows) {
      const where = describeRow(row)
      const other = await ownedBy(store, row.id)
      expect.soft(other, where).toBe(row.ok === true ? 'OWNED' : 'free')
      expect.soft(row.leaked ?? 0, where).toBe(row.ok === true ? 1 : 0)
    }
  })

  test.skipIf(place.inThread)(
    'a release: over, or still owned and released by the next try',
    LONG,
    async () => {
      const disturbed = await run('release', place)
      const { store, rows } = disturbed
      const owned: string[] = []
      for (const row of rows) {
        const other = await ownedBy(store, row.id)
        if (other === 'OWNED') owned.push(row.id)
        const isOver = row.killed || row.ok || row.code === 'OUTCOME_UNKNOWN'
        expect.soft(other, describeRow(row)).toBe(isOver ? 'free' : 'OWNED')
      }
      expect(owned.length).toBeGreaterThan(0)
      await expectGoesOn(disturbed, 'release', owned)
      for (const id of owned) expect.soft(await ownedBy(store, id)).toBe('free')
    },
  )

  test(
    'a reap: what it does not report stopped runs on as an orphan, and the next reap stops it',
    LONG,
    async () => {
      const { root, child, rows } = await run('reap', place)
      for (const row of rows) {
        const where = describeRow(row)
        const store = await open(join(root, row.id))
        const { state, owner } = await store.inspect(row.id)
        const isOld = state.state === 'running' && owner?.state === 'orphaned'
        const isNew = state.state === 'stopped'
        if (row.killed || row.code === 'OUTCOME_UNKNOWN') expect.soft(isOld || isNew, where).toBe(true)
        else if (row.ok) expect.soft(isNew, where).toBe((row.result as string[]).includes(row.id))
        expect.soft(isOld !== isNew, where).toBe(true)
        if (!row.ok && !row.killed) expect.soft(row.code, where).toMatch(/^(IO_ERROR|OUTCOME_UNKNOWN)$/)
        if (row.code === 'IO_ERROR') expect.soft(isOld, where).toBe(true)
        expect.soft(row.leaked ?? 0, where).toBe(0)
        expect.soft((await all(store.reap())).length, where).toBe(isOld ? 1 : 0)
        expectWalk(join(root, row.id), row.id, where)
      }
      child.disconnect()
    },
  )
})

/** Whether a sandbox is free for another process, which owns it for a moment then. */
async function ownedBy(store: SandboxStore, id: string): Promise<unknown> {
  try {
    await (await store.own(id)).release()
    return 'free'
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}
