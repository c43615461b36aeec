import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
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
  noStrace,
  startPrepared,
  traceChange,
  untilHit,
  ways,
} from '../support/strace.js'
import { CHANGES, expectUsable, isState, namesIn, stateOf } from './sandbox.js'

// Every system call of a change fails, one at a time, with each error that a bad, full or read-only disk, missing rights
// or missing descriptors would cause. All but close(2): Linux closes the file whatever it returns, but strace injects an
// error in place of the call.

const ERRORS: Readonly<Record<string, readonly string[]>> = {
  openat: ['EMFILE', 'EACCES', 'EIO', 'ENOSPC', 'EROFS'],
  mkdir: ['ENOSPC', 'EACCES', 'EIO', 'EROFS'],
  mkdirat: ['ENOSPC', 'EACCES', 'EIO', 'EROFS'],
  linkat: ['ENOSPC', 'EACCES', 'EIO', 'EROFS'],
  renameat: ['ENOSPC', 'EACCES', 'EIO', 'EROFS'],
  write: ['ENOSPC', 'EIO'],
  pwrite64: ['ENOSPC', 'EIO'],
  fsync: ['EIO', 'ENOSPC'],
  unlinkat: ['EACCES', 'EIO', 'EROFS'],
  rmdir: ['EACCES', 'EIO', 'EROFS'],
  chown: ['EIO', 'EROFS'],
  chmod: ['EIO', 'EROFS'],
  fchmod: ['EIO', 'EROFS'],
  flock: ['ENOLCK', 'EIO'],
  statx: ['EIO', 'EACCES'],
  getdents64: ['EIO'],
  readlinkat: ['EIO', 'EACCES'],
  pread64: ['EIO'],
  read: ['EIO'],
}

/** One case in this many is tried. `pairs.test.ts` fails every call, too, without strace(1). */
const STEP = effort(5, 3, 1)

if (noStrace !== undefined) console.warn(`I/O errors are not injected: ${noStrace}`)

interface Disturbed {
  readonly root: string
  readonly store: SandboxStore
  readonly child: ChildProcess
  readonly logs: string
}

describe.skipIf(noStrace !== undefined).each(effort(ways.slice(0, 1), ways))(
  'each call that fails, on $name',
  ({ name, folder, how }) => {
    async function setUp(): Promise<Disturbed> {
      const root = temporaryFolder(folder)
      // What the test itself does need not wait for the disk.
      const store = await openTestStore(root, { durable: false, lockTimeout: 0 })
      return { root, store, child: await startPrepared(root, ...how), logs: temporaryFolder() }
    }

    test.each(CHANGES)('of a $what: old or new, typed, tidy', AIMED, async change => {
      const { what, before, after } = change
      const disturbed = await setUp()
      const { root, store, child, logs } = disturbed
      if (before !== undefined) await store.create('traced')
      const calls = await traceChange(child, { what, id: 'traced' }, logs)
      expect(calls.length).toBeGreaterThan(20)
      let count = 0
      const unknown = new Set<string>()
      for (const call of calls) {
        for (const errno of ERRORS[call.name] ?? []) {
          if (++count % STEP !== 0) continue
          let id = ''
          const { answer } = await untilHit(call, async (aimed, attempt) => {
            id = `x${count}y${attempt}`
            if (before !== undefined) await store.create(id)
            return disturbChange(child, { what, id }, aimed, `error=${errno}`, logs)
          })
          if (answer === undefined) throw new Error(`${errno} at ${call.text} ended the process`)
          const where = `${errno} at ${call.text}, then ${answer.code ?? 'done'}: ${answer.message ?? ''} ${answer.stack ?? ''}`
          const state = await stateOf(store, id)
          if (isHarmless(call, what, errno)) expect.soft(answer.ok, where).toBe(true)
          if (answer.ok) expect.soft(isState(state, after), where).toBe(true)
          else {
            expectTyped(answer, root, id, errno, where)
            if (answer.code === 'OUTCOME_UNKNOWN') unknown.add(call.text)
            else expect.soft(isState(state, before), where).toBe(true)
          }
          expect.soft(answer.leaked, `leaked descriptors: ${where}`).toBe(0)
          expect.soft(temporaryFiles(root, id), where).toEqual([])
          await expectUsableByBoth(disturbed, id, where)
        }
      }
      // What is done and may yet be undone by a power cut is neither a success nor a failure.
      // (The root is flushed before there is anything to undo. In memory nothing is flushed.)
      const flushes = name === 'memory' ? [] : ['fsync .', 'statx .']
      expect([...unknown]).toEqual(STEP === 1 ? flushes : flushes.filter(text => unknown.has(text)))
    })
  },
)

describe.skipIf(noStrace !== undefined)('each call that fails', () => {
  test.each(['whole', 'torn'])('of reading a %s state: right or typed, and listed', AIMED, async kind => {
    const root = temporaryFolder()
    const store = await openTestStore(root)
    await store.create('a')
    if (kind === 'torn') writeFileSync(join(root, 'a', 'state.json'), '{"sta')
    const child = await startPrepared(root)
    const logs = temporaryFolder()
    for (const what of ['read', 'list'] as const) {
      const undisturbed = await ask(child, { what, id: 'a' })
      const calls = await traceChange(child, { what, id: 'a' }, logs)
      expect(calls.length).toBeGreaterThan(4)
      for (const [i, call] of calls.entries()) {
        for (const errno of i % STEP === 0 ? (ERRORS[call.name] ?? []) : []) {
          const { answer } = await untilHit(call, aimed =>
            disturbChange(child, { what, id: 'a' }, aimed, `error=${errno}`, logs),
          )
          if (answer === undefined) throw new Error(`${errno} at ${call.text} ended the process`)
          const where = `${errno} at ${call.text}, then ${answer.code ?? 'done'}: ${answer.message ?? ''} ${answer.stack ?? ''}`
          expect.soft(answer.leaked, where).toBe(0)
          if (what === 'read') expectReadOr(answer, undisturbed, root, errno, where)
          else if (answer.ok) expect.soft(answer.result, where).toMatchObject([{ id: 'a' }])
          else expectTyped(answer, root, 'a', errno, where)
        }
      }
    }
  })
})

function expectReadOr(answer: Answer, undisturbed: Answer, root: string, errno: string, where: string): void {
  if (answer.code === undisturbed.code) expect.soft(answer.result, where).toEqual(undisturbed.result)
  else expectTyped(answer, root, 'a', errno, where)
}

/** The state does not depend on the history and the lock's release; and a deletion must work on a full disk. */
function isHarmless({ name, text }: Call, what: Asked['what'], errno: string): boolean {
  if (text.includes('history.jsonl') || text === 'unlinkat state.json.lock') return true
  return what === 'delete' && errno === 'ENOSPC' && name !== 'fsync' && name !== 'openat'
}

function expectTyped(answer: Answer, root: string, id: string, errno: string, where: string): void {
  expect.soft(answer.name, where).toBe('StateStoreError')
  expect.soft(answer.code, where).toMatch(/^(IO_ERROR|OUTCOME_UNKNOWN)$/)
  expect.soft(answer.cause, where).toBe(errno)
  expect.soft(answer.path, where).toMatch(new RegExp(`^${root}(/${id}(/|$)|$)`))
  expect.soft(answer.message, where).toContain(answer.path)
  expect.soft(answer.message, where).toContain(errno)
  expect.soft(answer.message, where).not.toContain('/proc/')
}

function temporaryFiles(root: string, id: string): string[] {
  return (namesIn(root, id) ?? []).filter(name => name === '.state.json.tmp')
}

/** The process whose call failed can change the sandbox at once, and then another one can. */
async function expectUsableByBoth(
  { root, store, child }: Disturbed,
  id: string,
  where: string,
): Promise<void> {
  if ((await stateOf(store, id)) === undefined) await store.create(id)
  const answer = await ask(child, { what: 'update', id })
  expect.soft(answer.ok, `${where}; the next change: ${answer.message}`).toBe(true)
  await expectUsable(store, root, id, where)
}
