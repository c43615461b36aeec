import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import lockfile from 'proper-lockfile'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listLocks } from '#src/file/lock/list-locks.js'
import { commandOfPid } from '#src/process-identity.js'
import { all } from '../support/all.js'
import { places } from '../support/effort.js'
import { age } from '../support/faults.js'
import { holdFlock } from '../support/flock.js'
import { killProgram, nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

async function setUp(on?: string) {
  const root = temporaryFolder(on)
  const store = await openTestStore(root)
  for (const id of ['a', 'b', 'c']) await store.create(id)
  return {
    root,
    store,
    lock: (id: string) => join(root, id, 'lock'),
    state: (id: string) => join(root, id, 'state.json'),
  }
}

describe.each(places)('the locks on $name', ({ folder }) => {
  test('the list is empty when nobody holds a lock', async () => {
    const { root } = await setUp(folder)
    expect(await all(listLocks(root))).toEqual([])
    expect(await all(listLocks(join(root, 'not', 'there')))).toEqual([])
  })

  test('ours are listed with pid, host, command and time', async () => {
    const { root } = await setUp(folder)
    const before = new Date().toISOString()
    const holder = startProgram('holder', [root, 'b'])
    await nextMessage(holder)
    const locks = await all(listLocks(root))
    const since = locks[0]?.holder.since ?? ''
    const { pid } = holder
    expect(locks).toEqual([
      { id: 'b', holder: { lock: 'flock', pid, host: hostname(), command: 'node holder.mjs', since } },
    ])
    expect(since >= before && since <= new Date().toISOString()).toBe(true)
    await killProgram(holder)
    expect(await all(listLocks(root))).toEqual([])
  })

  test("a shell's are listed with its pid, exclusive or shared; so are those of a program with proper-lockfile", async () => {
    const { root, lock, state } = await setUp(folder)
    const exclusive = await holdFlock(lock('a'))
    const shared = await holdFlock(lock('b'), '--shared')
    const releases = [await lockfile.lock(state('b')), await lockfile.lock(state('c'))]
    const refreshed = { lock: 'proper-lockfile', since: expect.stringMatching(/^\d{4}-/) }
    const locks = await all(listLocks(root))
    expect(locks).toMatchObject([
      { id: 'a', holder: { lock: 'flock', pid: exclusive.pid } },
      { id: 'b', holder: { lock: 'flock', pid: shared.pid } },
      { id: 'b', holder: refreshed },
      { id: 'c', holder: refreshed },
    ])
    for (const release of releases) await release()
    await exclusive.release()
    await shared.release()
    expect(await all(listLocks(root))).toEqual([])
  })
})

test('what is left behind is not held: a lock folder of ours, and one of a stranger after 10 s', async () => {
  const { root, state } = await setUp()
  mkdirSync(`${state('a')}.lock`)
  age(`${state('a')}.lock`, 11_000)
  mkdirSync(`${state('b')}.lock`)
  chmodSync(`${state('b')}.lock`, 0o500) // As ours are.
  expect(await all(listLocks(root))).toEqual([])
})

test('what is not a lock is not listed, and nothing is created or changed', async () => {
  const { root, lock } = await setUp()
  mkdirSync(join(root, 'empty'))
  unlinkSync(lock('a'))
  symlinkSync('/etc/hostname', lock('a'))
  unlinkSync(lock('b'))
  mkdirSync(lock('b'))
  symlinkSync('c', join(root, 'link'))
  writeFileSync(join(root, 'file'), '')
  const shell = await holdFlock(lock('c'))
  expect(await all(listLocks(root))).toMatchObject([{ id: 'c', holder: { pid: shell.pid } }])
})

test('changes go on while they are listed all the time', async () => {
  const { root, store } = await setUp(filesystems[0]?.folder)
  let listing = true
  let lists = 0
  const lister = (async () => {
    while (listing) {
      await all(listLocks(root))
      lists++
      await nextTurn()
    }
  })()
  for (let i = 0; i < 300 || lists < 100; i++) {
    await store.update('a', state => ({ ...state, blockIndex: i }))
    await nextTurn()
  }
  listing = false
  await lister
})

test.skipIf(!existsSync('/proc/self/cmdline'))(
  'the name of a program is shown, and that of the script it runs, but no argument',
  async () => {
    const programs: Record<string, readonly string[]> = {
      sleep: ['sleep', '31.4'],
      sh: ['sh', '-c', 'read secret; echo "$secret"'],
      'sh script': ['sh', join(temporaryFolder(), 'script'), 'secret'],
    }
    writeFileSync(programs['sh script']?.[1] ?? '', 'read line')
    for (const [command, [program = '', ...args]] of Object.entries(programs)) {
      const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      await once(child, 'spawn')
      expect(commandOfPid(child.pid ?? 0)).toBe(command)
    }
  },
)
