import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { isAlive, nextMessage } from './program.js'
import { filesystems } from './root.js'

/** Why strace(1) cannot be used here; undefined when it can. */
export const noStrace: string | undefined = whyNot()

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'strace is a program of Linux'
  const { status, stderr, error } = spawnSync('strace', ['-e', 'trace=none', 'true'], { encoding: 'utf8' })
  if (error !== undefined) return 'strace is not installed'
  return status === 0 ? undefined : `strace does not work here: ${stderr.trim()}`
}

/** One system call that a change makes. */
export interface Call {
  /** The thread that makes it, counted in the order of their ids. */
  readonly thread: number
  readonly name: string
  /** Counts the calls of that name in that thread, from 1, beginning with the message that asks for the change. */
  readonly nth: number
  /**
   * For a write, the file, from the sandbox's id on, and the number among the writes to it. Threads wake each other by
   * writes, too, once more here and once less there, so the number among all writes says nothing.
   */
  readonly on?: { readonly file: string; readonly nth: number }
  /** With what it is made on, without what differs from run to run. */
  readonly text: string
}

/** A change that a prepared program can be asked for. */
export interface Asked {
  /** `batch`: an update of three sandboxes at once, the id with nothing, `-2` and `-3` behind it. */
  readonly what:
    | 'create'
    | 'transition'
    | 'update'
    | 'delete'
    | 'batch'
    | 'own'
    | 'release'
    | 'reap'
    | 'read'
    | 'list'
  readonly id: string
}

/** What came of it. */
export interface Answer {
  readonly ok: boolean
  readonly result?: unknown
  readonly name?: string
  readonly code?: string
  readonly message?: string
  readonly path?: string
  /** The operating system's error. */
  readonly cause?: string
  readonly stack?: string
  /** Descriptors that are open now and were not before. */
  readonly leaked: number
}

/** The two ways in which a change is made: right where it is asked for, or, on a disk that is slow, in a thread of its own. */
export const ways: readonly {
  readonly name: string
  readonly folder: string
  readonly how: Preparation[]
}[] = filesystems.map(({ name, folder }) =>
  name === 'memory' ? { name, folder, how: [] } : { name: `slow ${name}`, folder, how: ['slow'] },
)

/** `cold`: it has changed nothing yet; `slow`: its disk takes long for each flush. */
type Preparation = 'cold' | 'slow'

const roots = new WeakMap<ChildProcess, string>()

/** Starts test/programs/prepared.mjs on a root; it ends with the test at the latest. */
export async function startPrepared(root: string, ...how: Preparation[]): Promise<ChildProcess> {
  const child = fork(program('prepared'), [root, ...how.filter(each => each === 'cold')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
    // With one thread for Node's asynchronous calls, it is known which thread makes which.
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', ...(how.includes('slow') ? SLOW : {}) },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  roots.set(child, root)
  await nextMessage(child)
  return child
}

/** The environment of a program to which each disk is slow, in its threads too. */
export const SLOW = { NODE_OPTIONS: `--import=${program('slow-disk')}` }

function program(name: string): string {
  return fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url))
}

export async function ask(child: ChildProcess, asked: Asked): Promise<Answer> {
  const answered = new AbortController()
  const { signal } = answered
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('the program ended before it answered')
  })
  try {
    const answer = once(child, 'message', { signal })
    child.send(asked)
    const [message] = (await Promise.race([answer, ended])) as [Answer]
    return message
  } finally {
    ended.catch(() => {})
    answered.abort()
  }
}

/** Calls on files and folders. Those on memory, clocks and threads change nothing that outlives the process. */
const FILE_CALLS =
  'openat,statx,mkdir,mkdirat,rmdir,rename,renameat,linkat,unlink,unlinkat,write,pwrite64,pread64,read,fsync,close,chown,chmod,fchmod,utimensat,readlink,readlinkat,getdents64,flock,statfs,io_submit'

/** How tests are run that disturb each call of a change: every case takes a process and an strace(1). */
export const AIMED = { timeout: 180_000 }

/** Asks a prepared program for a change, and returns the calls on files that it made for it, in their order. */
export async function traceChange(
  child: ChildProcess,
  asked: Asked,
  logFolder: string,
): Promise<readonly Call[]> {
  const log = join(logFolder, 'trace')
  const threads = threadsOf(child)
  const strace = await attach(['-f', '-yy', '-o', log, '-e', `trace=${FILE_CALLS}`, '-p', String(child.pid)])
  await ask(child, asked)
  await detach(strace)
  return callsOf(readFileSync(log, 'latin1'), threads, asked.id)
}

/**
 * Asks a prepared program for a change while strace does something to it at one call.
 * @param inject what follows `inject=CALL:` (strace(1)), such as `error=EIO`; it happens before the call, or in place of it
 * @param path to count only the calls on this file
 * @returns what the program said, undefined when it was killed; and the call that was hit, undefined when none was
 */
export async function disturbChange(
  child: ChildProcess,
  asked: Asked,
  { thread, name, nth, on }: Call,
  inject: string,
  logFolder: string,
  path = on && `${roots.get(child)}/${asked.id}${on.file}`,
): Promise<{ answer: Answer | undefined; hit: string | undefined }> {
  const log = join(logFolder, 'injected')
  const id = threadsOf(child)[thread]
  const rule = `inject=${name}:${inject}:when=${on?.nth ?? nth}`
  const only = path === undefined ? [] : ['-P', path]
  const strace = await attach([
    ...['-yy', '-o', log, ...only, '-e', `trace=${name}`, '-e', rule, '-p', String(id)],
  ])
  const answer = await ask(child, asked).catch(() => undefined)
  await detach(strace)
  const lines = readFileSync(log, 'latin1').split('\n')
  const hit = lines.find((line, i) => line.includes('(INJECTED)') || lines[i + 1]?.startsWith('+++ killed'))
  return { answer, hit: hit === undefined ? undefined : normal(hit, asked.id) }
}

/** Where to look for a call that was missed, from the place that it had when it was traced. */
const SHIFTS = [0, 0, -1, 1, 0]

/**
 * Aims at a call again if it was missed, then at its neighbours: a timer or the garbage collector can let a thread make a
 * call once more, or once less, also while it is traced.
 * @param aim disturbs a change of its own each time, at the call that it is given
 * @returns what it returned when it hit
 */
export async function untilHit<T extends { readonly hit: string | undefined }>(
  call: Call,
  aim: (call: Call, attempt: number) => Promise<T>,
): Promise<T> {
  const hits: unknown[] = []
  for (const [attempt, shift] of SHIFTS.entries()) {
    const result = await aim({ ...call, nth: Math.max(call.nth + shift, 1) }, attempt)
    if (result.hit === call.text) return result
    hits.push(result.hit)
  }
  throw new Error(`${call.text} was missed; hit were ${hits.join(', ')}`)
}

function threadsOf(child: ChildProcess): number[] {
  return readdirSync(`/proc/${child.pid}/task`)
    .map(Number)
    .sort((a, b) => a - b)
}

/** Attaches strace(1) to a process that runs. */
export async function attach(args: readonly string[]): Promise<ChildProcess> {
  const strace = spawn('strace', [...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  for await (const chunk of strace.stderr.iterator({ destroyOnReturn: false })) {
    said += chunk
    if (said.includes(' attached')) break
  }
  if (!said.includes(' attached')) throw new Error(`strace could not attach: ${said}`)
  strace.stderr.resume()
  return strace
}

/** SIGTERM makes strace let go of what it traces, which then runs on. */
export async function detach(strace: ChildProcess): Promise<void> {
  if (!isAlive(strace)) return
  const ended = once(strace, 'exit')
  strace.kill('SIGTERM')
  await ended
}

function callsOf(log: string, threads: readonly number[], id: string): Call[] {
  const counts = new Map<string, number>()
  const calls: Call[] = []
  let inside = false
  for (const line of log.split('\n')) {
    const parts = /^(\d+)\s+((\w+)\(.*)$/.exec(line)
    if (parts === null) continue
    const [, pid, rest = '', name = ''] = parts
    const thread = threads.indexOf(Number(pid))
    if (thread === -1) continue
    const count = (key: string) => {
      counts.set(key, (counts.get(key) ?? 0) + 1)
      return counts.get(key) ?? 0
    }
    const nth = count(`${thread} ${name}`)
    if (rest.includes('begin-of-the-change')) inside = true
    else if (rest.includes('end-of-the-change')) inside = false
    else if (inside && isOnFiles(rest)) {
      const file = new RegExp(`^write\\(\\d+<[^>]*/${id}((?:-\\d)?/[^/>]+)>`).exec(rest)?.[1]
      const on = file === undefined ? {} : { on: { file, nth: count(`${thread} write ${file}`) } }
      calls.push({ thread, name, nth, ...on, text: normal(rest, id) })
    }
  }
  return calls
}

/** Whether a call changes a file or a folder. */
export function writes({ name, text }: Call): boolean {
  return (
    /^(mkdir|mkdirat|rmdir|renameat|linkat|unlinkat|write|pwrite64|fsync|fchown|fchmod)$/.test(name) ||
    text.endsWith('writing')
  )
}

/** Not the wake-ups between threads and the messages to the test. */
function isOnFiles(call: string): boolean {
  return !/^\w+\(\d+<(anon_inode|pipe|socket|UNIX|TCP|unix)/i.test(call) && !call.includes('eventfd')
}

/**
 * A call's name and what it is made on, as `openat .state.json.tmp for writing`: a name in the sandbox's folder, or `.`
 * for that folder and `..` for the root. Before a name in the second folder of a batch there is `2:`.
 */
export function normal(line: string, id: string): string {
  const [name = ''] = line.split('(', 1)
  const rest = line.slice(name.length + 1)
  const open = /^\d+<([^>]*)>/.exec(rest)?.[1]
  const within = name.endsWith('at') ? /^\d+<[^>]*>, "([^"]*)"/.exec(rest)?.[1] : undefined
  const path = (within === undefined ? open : `${open}/${within}`) ?? /"([^"]*)"/.exec(rest)?.[1] ?? ''
  const inFolder = path
    .replace(/^\/proc\/(?:self|\d+)\/fd\/\d+\/(\.\.\/)?/, `/${id}/`)
    .replace(new RegExp(`^.*/${id}(?:/(?:\\.$)?|$)`), './')
    .replace(new RegExp(`^.*/${id}-(\\d)(?:/(?:\\.$)?|$)`), '$1:')
  const shown = inFolder === './' ? '.' : inFolder.startsWith('./') ? inFolder.slice(2) : inFolder
  const what = shown
    .replace(/^#\d+.*/, 'UNNAMED')
    .replace(/^\/proc\/\d+/, '/proc/PID')
    .replace(/^\/(?!proc).*$/, '..')
  return `${name} ${what}${/O_WRONLY|O_RDWR|O_CREAT/.test(rest) ? ' for writing' : ''}`
}

/** A struct io_event that says how one flush of a submission ended, in hexadecimal as strace pokes it: see aio(7). */
export function ioEvent(index: number, result: number): string {
  const bytes = Buffer.alloc(32)
  bytes.writeBigInt64LE(BigInt(index), 0)
  bytes.writeBigInt64LE(BigInt(result), 16)
  return bytes.toString('hex')
}
