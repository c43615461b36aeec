import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe } from 'vitest'
import { freePorts } from '../../bench/free-ports.mjs'
import { isAlive } from './program.js'
import { PATIENCE, until } from './wait.js'

/** The installed etcd; undefined if it is missing. */
const etcd = program('etcd')

/** `describe` where there is an etcd; elsewhere it is skipped, and its name says why. */
export function describeEtcd(name: string, cases: () => void): void {
  if (etcd === undefined)
    describe.skip(`${name} (skipped: no etcd on the PATH; apt-get install etcd-server)`, cases)
  else describe(name, cases)
}

export function program(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map(folder => join(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** One etcd process on loopback, with ports and a folder of its own. */
class Member {
  private child: ChildProcess | undefined

  constructor(
    readonly name: string,
    readonly clientPort: number,
    readonly peerPort: number,
    private readonly folder: string,
    private readonly args: readonly string[],
  ) {}

  get origin(): string {
    return `${this.args.includes('--cert-file') ? 'https' : 'http'}://127.0.0.1:${this.clientPort}`
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  start(): void {
    const command = [
      etcd ?? 'etcd',
      ...['--name', this.name, '--data-dir', join(this.folder, this.name)],
      ...['--listen-client-urls', this.origin, '--advertise-client-urls', this.origin],
      ...['--listen-peer-urls', `http://127.0.0.1:${this.peerPort}`],
      ...['--initial-advertise-peer-urls', `http://127.0.0.1:${this.peerPort}`],
      ...this.args,
    ]
    // So that no etcd is left when the test's process is killed.
    const guard = program('setpriv')
    const [file = '', ...args] = guard === undefined ? command : [guard, '--pdeathsig', 'KILL', ...command]
    this.child = spawn(file, args, { stdio: 'ignore' })
  }

  signal(name: NodeJS.Signals): void {
    this.child?.kill(name)
  }

  /** Suspends it, and waits until each of its threads stands still: until then it may answer. */
  async suspend(): Promise<void> {
    this.signal('SIGSTOP')
    const tasks = `/proc/${this.child?.pid}/task`
    const isStopped = (thread: string) => /\) T /.test(readFileSync(`${tasks}/${thread}/stat`, 'latin1'))
    await until('the member is stopped', () => readdirSync(tasks).every(isStopped))
  }

  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined || !isAlive(child)) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}

/** An etcd of one or several members that lives until it is stopped. Its data is in memory where there is such a folder. */
export class TestEtcd {
  private constructor(
    readonly members: readonly Member[],
    private readonly folder: string,
  ) {}

  static async start(size = 1, args: readonly string[] = []): Promise<TestEtcd> {
    const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sandbox-state-etcd-'))
    const ports = await freePorts(2 * size)
    const names = Array.from({ length: size }, (_, i) => `m${i}`)
    const peers = names.map((name, i) => `${name}=http://127.0.0.1:${ports[size + i]}`).join()
    const members = names.map((name, i) => {
      const times = ['--heartbeat-interval', '50', '--election-timeout', '500']
      const all = ['--initial-cluster', peers, ...times, ...args]
      return new Member(name, ports[i] ?? 0, ports[size + i] ?? 0, folder, all)
    })
    for (const member of members) member.start()
    return new TestEtcd(members, folder)
  }

  /** Starts one and waits until it answers. */
  static async ready(size = 1): Promise<TestEtcd> {
    const started = await TestEtcd.start(size)
    await started.untilReady()
    return started
  }

  get member(): Member {
    const [member] = this.members
    if (member === undefined) throw new Error('no member')
    return member
  }

  /** `127.0.0.1:PORT` of each member, with commas. */
  get hosts(): string {
    return this.members.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join()
  }

  /** A root that no test has used before. */
  newRoot(): string {
    return `etcd://${this.hosts}/test/${nextRoot++}`
  }

  async untilReady(): Promise<void> {
    for (const { origin } of this.members) {
      await until(
        `etcd at ${origin} is ready`,
        async () => (await ask(origin, 'kv/range', { key: 'AA==' })) !== undefined,
      )
    }
  }

  /** Asks the gateway of the first member that answers, without the client that is tested. */
  async ask(path: string, message: object): Promise<Record<string, unknown>> {
    for (const { origin } of this.members) {
      // A member that is down or stopped keeps no question from the others.
      const answer = await ask(origin, path, message, this.members.length > 1 ? undefined : PATIENCE)
      if (answer !== undefined) return answer
    }
    throw new Error(`etcd did not answer ${path}`)
  }

  async put(key: string, value: string): Promise<void> {
    await this.ask('kv/put', { key: base64(key), value: base64(value) })
  }

  async delete(key: string): Promise<void> {
    await this.ask('kv/deleterange', { key: base64(key) })
  }

  /** The keys that begin with a text, and their values. */
  async dump(prefix: string): Promise<[key: string, value: string][]> {
    const { kvs = [] } = await this.ask('kv/range', {
      key: base64(prefix),
      range_end: base64(`${prefix}\xff`),
    })
    return (kvs as { key: string; value?: string }[]).map(({ key, value = '' }) => [plain(key), plain(value)])
  }

  async revision(): Promise<bigint> {
    const { header } = await this.ask('kv/range', { key: 'AA==' })
    return BigInt((header as { revision: string }).revision)
  }

  /** Every value that a key below a prefix ever had, as etcd's own history has it, unless it was compacted. */
  async past(prefix: string): Promise<{ key: string; value: string }[]> {
    const last = await this.revision()
    const range = { key: base64(prefix), range_end: base64(`${prefix}\xff`) }
    const body = JSON.stringify({ create_request: { ...range, start_revision: '1' } })
    const values: { key: string; value: string }[] = []
    const { origin } = await this.leader()
    const response = await fetch(`${origin}/v3/watch`, { method: 'POST', body })
    // One more write, so that it is known when all has come.
    await this.put(`${prefix}~end`, '')
    let text = ''
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString('latin1')
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        for (const { type, kv } of JSON.parse(line).result.events ?? []) {
          if (BigInt(kv.mod_revision) > last) return values
          if (type !== 'DELETE') values.push({ key: plain(kv.key), value: plain(kv.value ?? '') })
        }
      }
    }
    throw new Error('the watch ended early')
  }

  /** Makes etcd forget what was before its newest revision, or before one that many revisions older. */
  async compact(older = 0n): Promise<void> {
    await this.ask('kv/compaction', { revision: String((await this.revision()) - older), physical: true })
  }

  async leader(): Promise<Member> {
    let found: Member | undefined
    await until('there is a leader', async () => {
      for (const member of this.members) {
        const status = await ask(member.origin, 'maintenance/status', {})
        const { header, leader } = (status ?? {}) as { header?: { member_id: string }; leader?: string }
        if (leader !== undefined && leader === header?.member_id) found = member
      }
      return found !== undefined
    })
    if (found === undefined) throw new Error('no leader')
    return found
  }

  async stop(): Promise<void> {
    for (const member of this.members) await member.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

let nextRoot = 0

export function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}

function plain(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1')
}

async function ask(
  origin: string,
  path: string,
  message: object,
  within = 2_000,
): Promise<Record<string, unknown> | undefined> {
  try {
    const body = JSON.stringify(message)
    const response = await fetch(`${origin}/v3/${path}`, {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(within),
    })
    return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** A `lockTimeout`, in ms: what does not fail at once does not fail within a test. */
export const LONGER_THAN_A_TEST = 600_000
