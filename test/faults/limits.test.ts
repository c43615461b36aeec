import { type ChildProcess, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { type Answer, ask, startPrepared, ways } from '../support/strace.js'
import { namesIn, TIDY } from './sandbox.js'

// The limits of a process, setrlimit(2): a file may only grow so far, which makes writes stop half-way as on a full
// disk, and only so many files may be open.

const missing = spawnSync('prlimit', ['--fsize']).status === 0 ? undefined : 'prlimit is not installed'
if (missing !== undefined) console.warn(`processes are not limited: ${missing}`)

function limit(child: ChildProcess, what: 'fsize' | 'nofile', value: string): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(child.pid), `--${what}=${value}:`])
  if (status !== 0) throw new Error(`prlimit failed: ${stderr}`)
}

function expectFailed(answer: Answer, errno: string, path: string): void {
  expect(answer).toMatchObject({
    ok: false,
    name: 'StateStoreError',
    code: 'IO_ERROR',
    cause: errno,
    leaked: 0,
  })
  expect(answer.path).toMatch(new RegExp(`^${path}`))
  expect(answer.message).toContain(answer.path)
  expect(answer.message).not.toContain('/proc/')
}

/** The number that the next file to be opened gets; a limit on open files is one on their numbers. */
function lowestFree(child: ChildProcess): number {
  const used = new Set(readdirSync(`/proc/${child.pid}/fd`).map(Number))
  let fd = 0
  while (used.has(fd)) fd++
  return fd
}

describe.skipIf(missing !== undefined).each(ways)('a limited process, on $name', ({ folder, how }) => {
  async function setUp() {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('a')
    const state = join(root, 'a', 'state.json')
    return { root, store, child: await startPrepared(root, ...how), state, before: readFileSync(state) }
  }

  test('that can write the first bytes of a state only commits none of them', async () => {
    const { root, store, child, state, before } = await setUp()
    for (const bytes of [0, 1, 13, 50, before.length - 1]) {
      limit(child, 'fsize', String(bytes))
      expectFailed(await ask(child, { what: 'update', id: 'a' }), 'EFBIG', state)
      expectFailed(await ask(child, { what: 'create', id: 'new' }), 'EFBIG', join(root, 'new'))
      expect(readFileSync(state)).toEqual(before)
      expect(namesIn(root, 'a')).toEqual(TIDY)
      await expect(store.read('new')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
    limit(child, 'fsize', 'unlimited')
    expect(await ask(child, { what: 'update', id: 'a' })).toMatchObject({ ok: true })
    expect(await ask(child, { what: 'create', id: 'new' })).toMatchObject({ ok: true })
    expect(namesIn(root, 'new')).toEqual(TIDY)
  })

  test('that can open few files or none fails, leaks none, and goes on when it can open more', async () => {
    const { root, child, state, before } = await setUp()
    const free = lowestFree(child)
    const codes: (string | undefined)[] = []
    // With one it can just count them.
    for (let more = 1; more < 20; more++) {
      limit(child, 'nofile', String(free + more))
      const id = `new-${more}`
      for (const asked of [{ what: 'update', id: 'a' } as const, { what: 'create', id } as const]) {
        const answer = await ask(child, asked)
        codes.push(answer.code)
        if (!answer.ok) expectFailed(answer, 'EMFILE', asked.id === 'a' ? join(root, 'a') : root)
      }
      limit(child, 'nofile', '1024')
      expect(namesIn(root, 'a')).toEqual(TIDY)
      if (codes.at(-2) !== undefined) expect(readFileSync(state)).toEqual(before)
      const again = await ask(child, { what: codes.at(-1) === undefined ? 'update' : 'create', id })
      expect(again).toMatchObject({ ok: true, leaked: 0 })
    }
    expect(codes).toContain('IO_ERROR')
    expect(codes.slice(-2)).toEqual([undefined, undefined])
  })

  test('that cannot open what a first change takes fails it, and makes the next', async () => {
    const { root } = await setUp()
    const child = await startPrepared(root, 'cold')
    let failures = 0
    for (let more = 1; more < 20; more += 3) {
      limit(child, 'nofile', String(lowestFree(child) + more))
      const answer = await ask(child, { what: 'create', id: `new-${more}` })
      limit(child, 'nofile', '1024')
      if (answer.ok) break
      failures++
      expect(answer).toMatchObject({ name: 'StateStoreError', code: 'IO_ERROR' })
      expect(answer.message).toContain('EMFILE')
      expect(answer.message).toContain(root)
      expect(namesIn(root, `new-${more}`) ?? []).not.toContain('state.json')
    }
    expect(failures).toBeGreaterThan(0)
    expect(await ask(child, { what: 'create', id: 'at-last' })).toMatchObject({ ok: true })
    expect(namesIn(root, 'at-last')).toEqual(TIDY)
  })
})
