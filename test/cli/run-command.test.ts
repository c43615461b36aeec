import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SandboxStore } from '#src/store.js'
import { temporaryFolder } from '../support/root.js'
import { until } from '../support/wait.js'
import { BIN, cli, linesOf, Root, spawnCli } from './support.js'
import { hasTmux, Tmux } from './tmux.js'

/** Says each signal that it gets, after its own pid; ends with 7 at SIGTERM, and when its standard input ends. */
const TELLER = `
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGTSTP', 'SIGCONT'])
    process.on(signal, () => console.log(signal))
  process.on('SIGTERM', () => { console.log('SIGTERM'); process.exit(7) })
  process.stdin.on('end', () => process.exit()).resume()
  console.log(process.pid)
`

interface Run {
  readonly wrapper: ChildProcess
  /** The pid of the command. */
  readonly pid: number
  readonly next: () => Promise<string>
}

/** In a process group of its own, so that no terminal of the tests sends it anything. */
async function runTeller(root: Root, id = 'a'): Promise<Run> {
  const words = ['--root', root.path, 'run', id, '--create', '--', process.execPath, '-e', TELLER]
  const wrapper = spawn(process.execPath, [BIN, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  onTestFinished(() => void wrapper.kill('SIGKILL'))
  const next = linesOf(wrapper.stdout)
  const pid = Number(await next())
  onTestFinished(() => {
    if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  return { wrapper, pid, next }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** As ps(1) shows it: `T` first when it is stopped. */
function statusOf({ pid }: ChildProcess): string {
  return spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout
}

const run = (root: Root, ...words: string[]) => spawnCli(['--root', root.path, 'run', ...words])

async function inspect(root: Root, id = 'a') {
  const { state, owner, history } = JSON.parse(await root.done(`inspect ${id} --json`))
  return { state: state.state, owner: owner?.state, reason: history.at(-1).reason }
}

describe('run', () => {
  it.each([
    ['exit 0', 0, 'exited 0'],
    ['exit 3', 3, 'exited 3'],
    ['kill -9 $$', 137, 'killed by SIGKILL'],
    ['kill -TERM $$', 143, 'killed by SIGTERM'],
  ])('ends as its command does: %s', async (script, status, reason) => {
    const root = new Root()
    await root.done('create a')
    expect(await run(root, 'a', '--', 'sh', '-c', script)).toEqual({ status, stdout: '', stderr: '' })
    expect(await inspect(root)).toEqual({ state: 'stopped', owner: undefined, reason })
  })

  it('is 127 for a command that is not there, and 126 for one that cannot be executed', async () => {
    const root = new Root()
    await root.done('create a')
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '', { mode: 0o600 })
    for (const [command, status, words] of [
      ['no-such-command', 127, 'not found'],
      ['', 127, 'not found'],
      [file, 126, 'cannot be executed (EACCES)'],
    ] as const) {
      const stderr = `sandbox-state: COMMAND: ${command}: ${words}\n`
      expect(await run(root, 'a', '--', command)).toEqual({ status, stdout: '', stderr })
      expect(await inspect(root)).toEqual({ state: 'stopped', owner: undefined, reason: words })
    }
  })

  it('is owned and running while the command runs, which has the standard files and its arguments', async () => {
    const root = new Root()
    await root.done('create a')
    const script = 'cat; printf "%s\\n" "$@" >&2; "$NODE" "$BIN" list --json'
    const words = ['run', 'a', '--reason', 'go', '--', 'sh', '-c', script, 'sh', '--json', '--', 'x  y']
    const env = { ...process.env, NODE: process.execPath, BIN, SANDBOX_STATE_ROOT: root.path }
    const child = spawn(process.execPath, [BIN, ...words], { env, stdio: 'pipe' })
    onTestFinished(() => void child.kill('SIGKILL'))
    child.stdin.end('first line\n')
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
    const [line, ...json] = out.split('\n')
    expect({ line, err }).toEqual({ line: 'first line', err: '--json\n--\nx  y\n' })
    expect(JSON.parse(json.join('\n'))).toMatchObject([
      { id: 'a', state: { state: 'running' }, owner: { state: 'owned', pid: child.pid } },
    ])
    expect(JSON.parse(await root.done('history a --json'))).toMatchObject([
      {},
      { to: 'running', reason: 'go' },
      { to: 'stopped', reason: 'exited 0' },
    ])
  })

  it.each([
    ['a', 'printf', '%s\\n', '--version', '--root', 'x', '-h', '--', '--json'],
    ['a', '--create', '--reason', 'go', 'printf', '%s\\n', '--version', '--root', 'x', '-h', '--', '--json'],
    ['--', 'a', 'printf', '%s\\n', '--version', '--root', 'x', '-h', '--', '--json'],
  ])('leaves the options after the command to it, also without --: run %s %s', async (...words) => {
    const root = new Root()
    await root.done('create a')
    const stdout = '--version\n--root\nx\n-h\n--\n--json\n'
    expect(await run(root, ...words)).toEqual({ status: 0, stdout, stderr: '' })
  })

  it.each(['--root /x', '--lock-timeout 1', '--label team=x', '--reason go'])(
    'takes its own options after the id, also after %s',
    async option => {
      const line = `run ${option} a --no-such true`
      expect(await cli(line.split(' '))).toMatchObject({
        status: 2,
        stderr: expect.stringContaining("unknown option '--no-such'"),
      })
    },
  )

  it('creates the sandbox when asked to, unless it is there', async () => {
    const root = new Root()
    expect(await run(root, 'a', '--', 'true')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('NOT_FOUND'),
    })
    expect(await run(root, 'a', '--create', '--label', 'team=x', '--', 'true')).toMatchObject({ status: 0 })
    expect(await run(root, 'a', '--create', '--label', 'team=y', '--', 'false')).toMatchObject({ status: 1 })
    expect(root.file('a')).toMatchObject({ labels: { team: 'x' } })
  })

  it('passes signals on', async () => {
    const { wrapper, next } = await runTeller(new Root())
    const signals = [
      'SIGINT',
      'SIGHUP',
      'SIGQUIT',
      'SIGUSR1',
      'SIGUSR2',
      'SIGWINCH',
      'SIGCONT',
      'SIGTERM',
    ] as const
    for (const signal of signals) {
      wrapper.kill(signal)
      expect(await next()).toBe(signal)
    }
    expect(await once(wrapper, 'exit')).toEqual([7, null])
  })

  it('stops with SIGTSTP as its command does, and goes on with SIGCONT', async () => {
    const { wrapper, next } = await runTeller(new Root())
    wrapper.kill('SIGTSTP')
    expect(await next()).toBe('SIGTSTP')
    await until('the wrapper is stopped', () => statusOf(wrapper).startsWith('T'))
    wrapper.kill('SIGUSR1') // Not passed on before it goes on.
    wrapper.kill('SIGCONT')
    expect([await next(), await next()].sort()).toEqual(['SIGCONT', 'SIGUSR1'])
    wrapper.stdin?.end()
    expect(await once(wrapper, 'exit')).toEqual([0, null])
  })

  it('leaves the sandbox to the command when it is killed, and then it is an orphan', async () => {
    const root = new Root()
    const { wrapper, pid } = await runTeller(root)
    process.kill(pid, 'SIGSTOP') // The end of its standard input does not end it.
    wrapper.kill('SIGKILL')
    await once(wrapper, 'exit')
    expect(await inspect(root)).toMatchObject({ state: 'running', owner: 'owned' })
    expect(await root.cli('orphans')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.done('reap')).toBe('')
    const { stderr } = await run(root, 'a', '--', 'true')
    expect(stderr).toMatch(/^sandbox-state: OWNED: sandbox a is owned by /)
    process.kill(pid, 'SIGKILL')
    await until('it is an orphan', async () => (await inspect(root)).owner === 'orphaned')
    await root.done('transition a paused')
    expect(await run(root, 'a', '--', 'true')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'sandbox-state: INVALID_TRANSITION: sandbox a is an orphan: reap it first\n',
    })
    expect(await root.done('reap --format ids')).toBe('a\n')
    expect(await inspect(root)).toEqual({
      state: 'stopped',
      owner: undefined,
      reason: expect.stringMatching(/^owner died: pid \d+ /),
    })
  })

  it('fails with OWNED beside another, and changes nothing', async () => {
    const root = new Root()
    const { wrapper } = await runTeller(root)
    const { status, stderr } = await run(root, 'a', '--create', '--', 'true')
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining(`OWNED: sandbox a is owned by pid ${wrapper.pid} `),
    })
    expect(await inspect(root)).toMatchObject({ state: 'running', owner: 'owned' })
    wrapper.kill('SIGTERM')
    await once(wrapper, 'exit')
    expect(await inspect(root)).toMatchObject({ state: 'stopped', reason: 'exited 7' })
  })

  it('leaves the orphan to reap when the owner dies as it looks', async () => {
    const root = new Root()
    const { wrapper, pid } = await runTeller(root)
    const look = SandboxStore.prototype.inspect
    const spy = vi.spyOn(SandboxStore.prototype, 'inspect')
    onTestFinished(() => spy.mockRestore())
    spy.mockImplementationOnce(async function (this: SandboxStore, id) {
      const found = await look.call(this, id)
      for (const each of [wrapper.pid ?? 0, pid]) process.kill(each, 'SIGKILL')
      await until('it is an orphan', async () => (await inspect(root)).owner === 'orphaned')
      return found
    })
    expect(await root.cli('run a -- true')).toMatchObject({ status: 1, stdout: '' })
    expect(await inspect(root)).toMatchObject({ state: 'running', owner: 'orphaned' })
    expect(await root.done('reap --format ids')).toBe('a\n')
  })

  it.each([
    ['stopped', ['transition a stopped --reason before'], { state: 'stopped', reason: 'before' }],
    ['paused', ['transition a paused'], { state: 'stopped', reason: 'exited 7' }],
    [
      'deleted and created',
      ['delete a --force', 'create a --reason anew'],
      { state: 'ready', reason: 'anew' },
    ],
  ])('is no error when somebody has %s it', async (_, lines, expected) => {
    const root = new Root()
    const { wrapper } = await runTeller(root)
    for (const line of lines) await root.done(line)
    wrapper.kill('SIGTERM')
    expect(await once(wrapper, 'exit')).toEqual([7, null])
    expect(await inspect(root)).toEqual({ owner: undefined, ...expected })
  })

  it('is no error when somebody has deleted it', async () => {
    const root = new Root()
    const { wrapper } = await runTeller(root)
    await root.done('delete a --force')
    wrapper.kill('SIGTERM')
    expect(await once(wrapper, 'exit')).toEqual([7, null])
    expect(await root.done('list')).toBe('')
  })

  it.skipIf(!hasTmux)('works with the keys and the job control of a terminal', async () => {
    const root = new Root()
    const terminal = new Tmux(100, 24)
    const file = join(temporaryFolder(), 'teller.js')
    writeFileSync(file, TELLER.replace("'SIGTSTP', ", ''))
    const command = `${process.execPath} ${BIN} --root ${root.path} run a --create -- ${process.execPath} ${file}`
    terminal.type(`clear; ${command}`, 'Enter')
    await terminal.until(/^\d+$/m)
    terminal.type('', 'C-c')
    await terminal.until(/SIGINT/)
    terminal.type('', 'C-z')
    await terminal.until(/Stopped/)
    terminal.type('fg', 'Enter')
    await terminal.until(/SIGCONT/)
    terminal.type('', 'C-\\')
    await terminal.until(/SIGQUIT/)
    terminal.type('', 'C-d')
    await until('the sandbox is stopped', async () => (await inspect(root)).state === 'stopped')
    const screen = terminal.lines().join('\n')
    expect(screen.match(/SIGINT/g)).toHaveLength(1)
    expect(screen.match(/SIGQUIT/g)).toHaveLength(1)
    expect(await inspect(root)).toMatchObject({ reason: 'exited 0' })
  })

  it('takes one that another creates meanwhile, unless it is owned', async () => {
    const root = new Root()
    const runs = await Promise.all(Array.from({ length: 4 }, () => root.cli('run a --create -- true')))
    const failures = runs.map(({ stderr }) => stderr).filter(text => !text.includes(': OWNED: '))
    expect(failures.join('')).toBe('')
    expect(runs.map(({ status }) => status)).toContain(0)
  })

  it('leaves alone one of another program', async () => {
    const root = new Root()
    mkdirSync(join(root.path, 'a'), { recursive: true })
    writeFileSync(join(root.path, 'a', 'persist.json'), '{}')
    const before = root.snapshot()
    const { status, stderr } = await run(root, 'a', '--create', '--', 'true')
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "sandbox-state: ALREADY_EXISTS: sandbox a already exists, in another program's format\n",
    })
    expect(root.snapshot()).toEqual(before)
  })

  it('refuses one that is running already', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done('transition a running')
    expect(await run(root, 'a', '--', 'true')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'sandbox-state: INVALID_TRANSITION: sandbox a is running already: stop it first\n',
    })
  })

  it.each([
    ['run a', "missing required argument 'command'"],
    ['run a --', "missing required argument 'command'"],
    ['run a --label team=x -- true', '--label needs --create'],
    ['run a --no-such -- true', "unknown option '--no-such'"],
    [`run a --reason ${'x'.repeat(257)} -- true`, '--reason must have at most 256 characters'],
  ])('refuses %j', async (line, message) => {
    const root = new Root()
    await root.done('create a')
    const before = root.snapshot()
    const { status, stderr } = await root.cli(line)
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(message) })
    expect(root.snapshot()).toEqual(before)
  })
})
