import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxStore } from 'sandbox-state'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BIN, cli } from '../cli/support.js'
import { all } from '../support/all.js'
import { effort, long } from '../support/effort.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { AIMED, type Call, detach, normal, noStrace, writes } from '../support/strace.js'
import { until } from '../support/wait.js'
import { expectWalk, namesIn, TIDY } from './sandbox.js'

// The command `run` is killed before each system call that it makes on the sandbox, and before and after the fork.

if (noStrace !== undefined) console.warn(`run is not killed at its calls: ${noStrace}`)

/** What is found when `run --create` was killed, in the order in which a later kill finds it. */
const FOUND = [
  'absent',
  'ready, unowned',
  'ready, orphaned',
  'running, orphaned',
  'stopped, orphaned',
  'stopped, unowned',
]

/** Calls that change a file or a lock. `SANDBOX_STATE_TESTS=soak` kills before the others, too. */
const changes = (call: Call) => writes(call) || call.name === 'flock'

/** There are some 250 calls, and two processes are started for each. */
const EACH = { ...AIMED, timeout: effort(AIMED.timeout, AIMED.timeout, 900_000) }

/** Says its pid and stays until it is killed. */
const COMMAND = ['sh', '-c', 'echo $$; exec sleep 1000']

const [{ folder } = { folder: undefined }] = filesystems

async function setUp() {
  const root = temporaryFolder(folder)
  const store = await openTestStore(root)
  return { root, store, log: join(temporaryFolder(), 'trace') }
}

/** Runs the wrapper under strace(1), which ends when what it traces has ended. */
function startRun(root: string, id: string, log: string, options: readonly string[]): ChildProcess {
  const words = [BIN, '--root', root, 'run', id, '--create', '--', ...COMMAND]
  const strace = spawn('strace', ['-yy', '-o', log, ...options, process.execPath, ...words], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void strace.kill('SIGKILL'))
  return strace
}

/** The pid of the command, once it runs; undefined when the wrapper ended without it. */
async function commandOf({ stdout }: ChildProcess): Promise<number | undefined> {
  if (stdout === null) throw new Error('strace has no output')
  const said = await Promise.race([once(stdout, 'data'), once(stdout, 'end')])
  if (said.length === 0) return undefined
  const pid = Number(said[0])
  onTestFinished(() => end(pid))
  return pid
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** So that strace sees only the calls on the sandbox. */
function only(root: string, id: string): string[] {
  const names = ['lock', 'owner', 'state.json', 'state.json.lock', '.state.json.tmp', 'history.jsonl']
  return [root, join(root, id), ...names.map(name => join(root, id, name))].flatMap(path => ['-P', path])
}

/** A whole run, without a disturbance: its calls, each with how many of its name came before it. */
async function trace(root: string, log: string) {
  const strace = startRun(root, 'traced', log, only(root, 'traced'))
  const ended = once(strace, 'exit')
  end((await commandOf(strace)) ?? 0)
  await ended
  const counts = new Map<string, number>()
  const lines = readFileSync(log, 'latin1').split('\n')
  return lines.flatMap(line => {
    const name = /^(\w+)\(/.exec(line)?.[1]
    if (name === undefined) return []
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    return [{ name, nth, text: normal(line, 'traced'), thread: 0 }]
  })
}

async function found(store: SandboxStore, id: string): Promise<string> {
  try {
    const { state, owner } = await store.inspect(id)
    return `${state.state}, ${owner?.state ?? 'unowned'}`
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'NOT_FOUND') return 'absent'
    throw error
  }
}

/** A reap stops it if it is said to be running, and the next run comes through. */
async function expectPutRight(store: SandboxStore, root: string, id: string, where: string): Promise<void> {
  const isOrphan = (await found(store, id)) === 'running, orphaned'
  const reaped = (await all(store.reap())).map(each => each.id)
  expect.soft(reaped, where).toEqual(isOrphan ? [id] : [])
  const ran = await cli(['--root', root, 'run', id, '--create', '--', 'true'])
  expect.soft(ran, where).toEqual({ status: 0, stdout: '', stderr: '' })
  expect.soft(await found(store, id), where).toBe('stopped, unowned')
  expect.soft(namesIn(root, id), where).toEqual([...TIDY, 'owner'].sort())
  expectWalk(root, id, where)
}

describe.skipIf(noStrace !== undefined)('run is killed', () => {
  test('before each of its calls: what it leaves is put right by a reap or the next run', EACH, async () => {
    const { root, store, log } = await setUp()
    const made = (await trace(root, log)).filter(effort(changes, changes, () => true))
    const calls = made.filter((_, i) => i % effort(20, 2, 1) === 0)
    const seen: string[] = []
    for (const [i, { name, nth, text }] of calls.entries()) {
      const id = `x${i}`
      const where = `killed before call ${i} of ${calls.length}, ${text}`
      const inject = ['-e', `trace=${name}`, '-e', `inject=${name}:signal=SIGKILL:when=${nth}`]
      const strace = startRun(root, id, log, [...only(root, id), ...inject])
      const ended = once(strace, 'exit')
      const command = await commandOf(strace)
      if (command !== undefined) end(command)
      expect(await ended, where).toEqual([null, 'SIGKILL'])
      const hit = readFileSync(log, 'latin1').trim().split('\n').at(-2) ?? ''
      expect(normal(hit, id)).toBe(text)
      seen.push(await found(store, id))
      await expectPutRight(store, root, id, where)
    }
    expect([...new Set(seen)]).toEqual(FOUND.filter(each => seen.includes(each)))
    expect(seen.length).toBeGreaterThan(effort(1, 15))
    expect(FOUND.filter(each => !seen.includes(each))).toEqual(effort(expect.any(Array), []))
  })

  test('before it starts its command: it is an orphan that is said to be running', AIMED, async () => {
    const { root, store, log } = await setUp()
    // Threads are made by clone3, and only a process by clone.
    const strace = startRun(root, 'a', log, ['-e', 'trace=clone', '-e', 'inject=clone:signal=SIGKILL:when=1'])
    const ended = once(strace, 'exit')
    expect(await commandOf(strace)).toBeUndefined()
    expect(await ended).toEqual([null, 'SIGKILL'])
    expect(readFileSync(log, 'latin1')).toMatch(/^clone\(.*SIGCHLD/)
    expect(await found(store, 'a')).toBe('running, orphaned')
    await expectPutRight(store, root, 'a', 'before the fork')
  })

  test.runIf(long)('between fork and exec of its command: the command owns the sandbox', AIMED, async () => {
    const { root, store, log } = await setUp()
    // With -I1 strace obeys a signal, so that it can be detached.
    const delay = ['-I1', '-f', '-e', 'trace=execve', '-e', 'inject=execve:delay_enter=600s:when=1']
    const strace = startRun(root, 'a', log, delay)
    let [wrapper, child] = [0, 0]
    await until('the wrapper has forked', () => {
      wrapper = childOf(strace.pid)
      child = childOf(wrapper)
      return child > 0
    })
    process.kill(wrapper, 'SIGKILL')
    await until('the wrapper is dead', () => childOf(wrapper) === 0)
    expect(await found(store, 'a')).toBe('running, owned')
    expect(readlinkSync(`/proc/${child}/exe`), 'it has called exec by now').toBe(process.execPath)
    await detach(strace) // Only now the child goes on.
    expect(await commandOf(strace)).toBe(child)
    expect(await found(store, 'a')).toBe('running, owned')
    expect(await all(store.reap())).toEqual([])
    end(child)
    await until('it is orphaned', async () => (await found(store, 'a')) === 'running, orphaned')
    await expectPutRight(store, root, 'a', 'between fork and exec')
  })
})

/** The child that runs Node, 0 if there is none; strace has others, for a moment. */
function childOf(pid = 0): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return Number(children.find(child => readlinkSync(`/proc/${child}/exe`) === process.execPath) ?? 0)
  } catch {
    return 0
  }
}
