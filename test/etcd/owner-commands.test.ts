import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { BIN, Root, spawnCli } from '../cli/support.js'
import { long } from '../support/effort.js'
import { describeEtcd, program, TestEtcd } from '../support/etcd.js'
import { isRunning } from '../support/program.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'

const RECORD = JSON.stringify({
  ...{ pid: 4711, start: '1', boot: 'b', host: 'elsewhere', command: 'node x.js' },
  since: '2026-01-02T03:04:05.678Z',
})

describeEtcd('the commands about owners, on etcd', () => {
  let etcd: TestEtcd
  beforeAll(async () => {
    etcd = await TestEtcd.ready()
  })
  afterAll(() => etcd?.stop())

  const ownerKey = (root: Root, id: string) => `${new URL(root.path).pathname}/owner/${id}`
  const run = (root: Root, ...words: string[]) => spawnCli(['--root', root.path, 'run', ...words])

  async function inspect(root: Root) {
    const { state, owner, history } = JSON.parse(await root.done('inspect a --json'))
    return { state: state.state, owner: owner?.state, reason: history.at(-1).reason }
  }

  /** `run a` with a command that has written its first line. */
  async function startRun(root: Root, ...command: string[]) {
    const words = ['--root', root.path, 'run', 'a', '--create', '--', ...command]
    const child = spawn(process.execPath, [BIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const stderr = text(child.stderr)
    const [line] = await once(createInterface(child.stdout), 'line')
    return { child, stderr, line: String(line) }
  }

  /** A command that ends with a status when it is told to. */
  function endsWith(status: number): string[] {
    return ['sh', '-c', `sleep 1000 & trap "kill $!; exit ${status}" TERM; echo ready; wait`]
  }

  it('run owns the sandbox while its command runs, and ends as that does', async () => {
    const root = new Root(etcd.newRoot())
    const { child } = await startRun(root, ...endsWith(3))
    expect(await inspect(root)).toMatchObject({ state: 'running', owner: 'owned' })
    expect(await run(root, 'a', '--', 'true')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`OWNED: sandbox a is owned by pid ${child.pid} `),
    })
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([3, null])
    expect(await inspect(root)).toEqual({ state: 'stopped', owner: undefined, reason: 'exited 3' })
  })

  it('run says that it lost the ownership, ends its command, and leaves the sandbox as it is', async () => {
    const root = new Root(etcd.newRoot())
    const { child, stderr } = await startRun(root, ...endsWith(0))
    await etcd.put(ownerKey(root, 'a'), RECORD)
    expect(await once(child, 'exit')).toEqual([1, null])
    expect(await stderr).toMatch(
      /^sandbox-state: OWNED: sandbox a is owned by pid 4711 \(node x\.js\) on elsewhere .*\n$/,
    )
    expect((await inspect(root)).state).toBe('running')
  })

  it('run goes on when the sandbox is deleted', async () => {
    const root = new Root(etcd.newRoot())
    const { child, stderr } = await startRun(root, ...endsWith(7))
    await root.done('delete a --force')
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([7, null])
    expect(await stderr).toBe('')
  })

  it.skipIf(program('setpriv') === undefined)(
    'run that is killed takes its command along with setpriv',
    async () => {
      const root = new Root(etcd.newRoot())
      const command = ['setpriv', '--pdeathsig', 'KILL', 'sh', '-c', 'echo $$; exec sleep 1000']
      const { child, line } = await startRun(root, ...command)
      const pid = Number(line)
      onTestFinished(() => {
        if (isRunning(pid)) process.kill(pid, 'SIGKILL')
      })
      expect(isRunning(pid)).toBe(true)
      child.kill('SIGKILL')
      await until('the command has ended', () => !isRunning(pid))
    },
  )

  it('orphans, reap, list and metrics know the orphans', async () => {
    const root = new Root(etcd.newRoot())
    for (const id of ['a', 'b']) {
      await root.done(`create ${id}`)
      await root.done(`transition ${id} running`)
    }
    await etcd.put(ownerKey(root, 'a'), RECORD)
    expect(await root.cli('orphans')).toEqual({
      status: 1,
      stdout:
        'ID  STATE    OWNED-SINCE               LAST-OWNER\n' +
        'a   running  2026-01-02T03:04:05.678Z  pid 4711 (node x.js) on elsewhere\n',
      stderr: '',
    })
    expect(await root.done('list --orphaned --format ids')).toBe('a\n')
    expect(await root.done('metrics')).toContain('\nsandbox_state_orphans 1\n')
    expect(await root.done('reap --format ids')).toBe('a\n')
    expect(await inspect(root)).toEqual({
      state: 'stopped',
      owner: undefined,
      reason: 'owner died: pid 4711 (node x.js)',
    })
    expect(await root.done('metrics')).toContain('\nsandbox_state_orphans 0\n')
    expect(await root.done('metrics')).not.toContain('locks')
  })

  describe.runIf(long)('in the long run', () => {
    it('run kills a command that does not end within 5 s of being told to', async () => {
      const root = new Root(etcd.newRoot())
      const { child } = await startRun(
        root,
        'sh',
        '-c',
        'trap "" TERM; while :; do echo ready; sleep 0.2; done',
      )
      await etcd.put(ownerKey(root, 'a'), RECORD)
      expect(await once(child, 'exit')).toEqual([137, null])
    })

    it('run that is stopped for longer than the lease ends its command when it goes on', async () => {
      const root = new Root(etcd.newRoot())
      const { child, stderr } = await startRun(root, ...endsWith(0))
      const store = await openTestStore(root.path)
      child.kill('SIGSTOP')
      const owner = await store.own('a', { wait: true })
      child.kill('SIGCONT')
      expect(await once(child, 'exit')).toEqual([1, null])
      expect(await stderr).toMatch(
        /^sandbox-state: (IO_ERROR: sandbox a: the lease of its owner is over|OWNED: )/,
      )
      expect(await inspect(root)).toMatchObject({ state: 'running', owner: 'owned' })
      await owner.release()
    })
  })
})
