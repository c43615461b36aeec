import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openStore } from 'sandbox-state'
import { expect, onTestFinished, test, vi } from 'vitest'
import { all } from '../support/all.js'
import { temporaryFolder } from '../support/root.js'

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

/** The supervisor tells processes apart by /proc. */
const onLinux = test.runIf(process.platform === 'linux')

interface Example {
  readonly child: ChildProcess
  readonly lines: string[]
  /** Waits for a line. */
  until(text: string): Promise<void>
}

function start(name: string, ...args: string[]): Example {
  const child = spawn(process.execPath, [join(EXAMPLES, `${name}.mjs`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', line => lines.push(line))
  return {
    child,
    lines,
    async until(text) {
      while (!lines.some(line => line.includes(text))) {
        await once(reader, 'line', { signal: AbortSignal.timeout(20_000) })
      }
    },
  }
}

async function run(name: string, ...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const { child, lines } = start(name, ...args)
  const [code] = await once(child, 'close')
  return { code, lines }
}

function pidOf(folder: string, id: string): number {
  return JSON.parse(readFileSync(join(folder, 'processes', `${id}.json`), 'utf8')).pid
}

onLinux('the supervisor finds its sandboxes again after it was killed', async () => {
  const folder = temporaryFolder()
  const store = await openStore(join(folder, 'states'))
  onTestFinished(() => store.close())
  const first = start('supervisor', folder, '3')
  await first.until('all sandboxes run')
  const pids = [1, 2, 3].map(i => pidOf(folder, `sandbox-${i}`))
  onTestFinished(() => {
    for (const pid of [...pids, ...[1, 2, 3].map(i => pidSafely(folder, `sandbox-${i}`))]) kill(pid)
  })
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  // One of the sandboxes dies while nobody watches, and one was started by a supervisor that could not say so.
  kill(pids[1])
  await store.transition('sandbox-3', 'running', 'stopped')
  await store.delete('sandbox-3')
  await store.create('sandbox-3')

  const second = start('supervisor', folder, '3')
  await second.until('all sandboxes run')
  expect(second.lines).toEqual([
    `sandbox-1: found again, process ${pids[0]} still runs`,
    'sandbox-2: its process died meanwhile, stopped',
    `sandbox-3: found again, process ${pids[2]} still runs`,
    `sandbox-2: process ${pidOf(folder, 'sandbox-2')} started`,
    'all sandboxes run',
  ])
  const states = (await all(store.list())).map(entry => 'state' in entry && entry.state.state)
  expect(states).toEqual(['running', 'running', 'running'])

  kill(pids[0])
  await second.until('sandbox-1: its process died, stopped')
  await store.transition('sandbox-2', 'running', 'paused')
  second.child.kill('SIGTERM')
  const [code] = await once(second.child, 'exit')
  expect(code).toBe(0)
  expect(await all(store.list())).toMatchObject([{ id: 'sandbox-1', state: { state: 'stopped' } }])
})

test.runIf(process.platform === 'linux').each(['start', 'boot'])(
  'a process of the same pid and another %s is not the sandbox',
  async field => {
    const folder = temporaryFolder()
    const first = start('supervisor', folder, '1')
    await first.until('all sandboxes run')
    const pid = pidOf(folder, 'sandbox-1')
    onTestFinished(() => kill(pid))
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    const file = join(folder, 'processes', 'sandbox-1.json')
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), [field]: 'another' }))

    const second = start('supervisor', folder, '0')
    await second.until('all sandboxes run')
    expect(second.lines[0]).toBe('sandbox-1: its process died meanwhile, stopped')
    second.child.kill('SIGTERM')
    await once(second.child, 'exit')
    expect(() => process.kill(pid, 0)).not.toThrow()
  },
)

onLinux(
  'the supervisor finds a sandbox that was being started again, and stops a paused one that died',
  async () => {
    const folder = temporaryFolder()
    const store = await openStore(join(folder, 'states'))
    onTestFinished(() => store.close())
    const first = start('supervisor', folder, '2')
    await first.until('all sandboxes run')
    const pids = [1, 2].map(i => pidOf(folder, `sandbox-${i}`))
    onTestFinished(() => {
      for (const pid of [...pids, ...[1, 2].map(i => pidSafely(folder, `sandbox-${i}`))]) kill(pid)
    })
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    await store.transition('sandbox-1', 'running', 'stopped')
    await store.transition('sandbox-2', 'running', 'paused')
    kill(pids[1])

    const second = start('supervisor', folder, '1')
    await second.until('all sandboxes run')
    expect(second.lines).toEqual([
      `sandbox-1: found again, process ${pids[0]} still runs`,
      'sandbox-2: its process died meanwhile, stopped',
      'all sandboxes run',
    ])
    second.child.kill('SIGTERM')
    await once(second.child, 'exit')
  },
)

onLinux('a sandbox whose process could not be noted leaves none behind', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'processes', 'sandbox-1.json'), { recursive: true })
  // The sandbox inherits its environment: that is how to find it.
  const mark = `SANDBOX_STATE_TEST=${folder}`
  const [name = '', value] = mark.split('=')
  const { status } = spawnSync(process.execPath, [join(EXAMPLES, 'supervisor.mjs'), folder, '1'], {
    env: { ...process.env, [name]: value },
    stdio: 'ignore',
  })
  onTestFinished(() => processesWith(mark).forEach(kill))
  expect(status).toBe(1)
  await vi.waitFor(() => expect(processesWith(mark)).toEqual([]), { timeout: 10_000 })
})

function processesWith(mark: string): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)
      } catch {
        return false
      }
    })
    .map(Number)
}

onLinux('a sandbox that died before its start was noted does not count as alive', async () => {
  const folder = temporaryFolder()
  const store = await openStore(join(folder, 'states'))
  onTestFinished(() => store.close())
  await store.create('sandbox-1')
  await store.transition('sandbox-1', 'ready', 'running')
  mkdirSync(join(folder, 'processes'))
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  writeFileSync(join(folder, 'processes', 'sandbox-1.json'), JSON.stringify({ pid: 2 ** 30, boot }))
  const supervisor = start('supervisor', folder, '0')
  await supervisor.until('all sandboxes run')
  expect(supervisor.lines[0]).toBe('sandbox-1: its process died meanwhile, stopped')
})

function pidSafely(folder: string, id: string): number | undefined {
  try {
    return pidOf(folder, id)
  } catch {
    return undefined
  }
}

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** A store in which a and b run. */
async function twoRunning() {
  const root = join(temporaryFolder(), 'states')
  const store = await openStore(root)
  onTestFinished(() => store.close())
  for (const id of ['a', 'b']) {
    await store.create(id)
    await store.transition(id, 'ready', 'running')
  }
  return { root, store }
}

onLinux('a reaper that comes too late takes the next one', async () => {
  const { root, store } = await twoRunning()
  const reaper = run('two-services', root, 'reaper', '1')
  await store.update('a', state => {
    // By then it has seen that a runs, and waits to stop it.
    until(() => hasOpen(join(root, 'a', 'lock')))
    return { ...state, state: 'paused' }
  })
  expect(await reaper).toEqual({ code: 0, lines: ['reaper: stopped and deleted 1, came too late for 1'] })
  expect(await all(store.list())).toMatchObject([{ id: 'a', state: { state: 'paused' } }])
})

test('a reaper deletes what one that was killed had stopped', async () => {
  const { root, store } = await twoRunning()
  await store.transition('a', 'running', 'stopped')
  expect((await run('two-services', root, 'reaper', '1')).code).toBe(0)
  expect(await all(store.list())).toEqual([])
})

/** Waits for something without a turn of the event loop, as what runs under a lock must. */
function until(isSo: () => boolean): void {
  const end = performance.now() + 20_000
  while (!isSo()) {
    if (performance.now() > end) throw new Error('waited in vain')
  }
}

/** Whether another process has a file open, as one that waits for a lock has at each attempt. */
function hasOpen(file: string): boolean {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && name !== String(process.pid))
    .some(pid => {
      try {
        return readdirSync(`/proc/${pid}/fd`).some(fd => readlinkSync(`/proc/${pid}/fd/${fd}`) === file)
      } catch {
        return false
      }
    })
}

test('what agents run, and who owns it, is in their states', async () => {
  const root = join(temporaryFolder(), 'states')
  const agents = (...args: string[]) => run('agents', root, ...args)
  const started = await agents('start', 'ann', 'alpine:3.20', '8080')
  expect(started).toMatchObject({ code: 0, lines: [expect.stringMatching(/^agent-[0-9a-f-]{36}$/)] })
  const [id = ''] = started.lines
  await agents('start', 'bob', 'debian:12')
  expect((await agents('open', id, '9090')).code).toBe(0)
  const listed = { code: 0, lines: [`${id} running alpine:3.20 8080,9090`] }
  expect(await agents('list', 'ann')).toEqual(listed)
  for (const wrong of [
    ['start', 'ann', 'alpine'],
    ['open', id, '99999'],
  ]) {
    const refused = spawnSync(process.execPath, [join(EXAMPLES, 'agents.mjs'), root, ...wrong], {
      encoding: 'utf8',
    })
    expect(refused).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/: data\.(image|ports\.2): /),
    })
  }
  expect(await agents('list', 'ann')).toEqual(listed)
  expect((await agents('stop', id, 'out of budget')).code).toBe(0)
  const store = await openStore(root)
  onTestFinished(() => store.close())
  const reasons = (await all(store.history(id))).map(({ reason }) => reason)
  expect(reasons).toEqual(['ann asked for it', undefined, 'port 9090 opened', 'out of budget'])
  expect(await agents('sweep', '1')).toEqual({ code: 0, lines: [] })
  await expect.poll(() => agents('sweep', '0')).toEqual({ code: 0, lines: [`${id} of ann deleted`] })
  expect(await all(store.list())).toMatchObject([{ state: { data: { owner: 'bob' } } }])
})

test('schedulers and reapers share a root: each sandbox is reaped once', async () => {
  const root = join(temporaryFolder(), 'states')
  const outcomes = await Promise.all([
    run('two-services', root, 'scheduler', '40'),
    run('two-services', root, 'scheduler', '40'),
    run('two-services', root, 'reaper', '30'),
    run('two-services', root, 'reaper', '50'),
  ])
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0])
  expect(outcomes.slice(0, 2).flatMap(({ lines }) => lines)).toEqual(Array(2).fill('scheduler: started 40'))
  expect(outcomes[2]?.lines[0]).toMatch(/^reaper: stopped and deleted 30, came too late for \d+$/)
  expect(outcomes[3]?.lines[0]).toMatch(/^reaper: stopped and deleted 50, came too late for \d+$/)
  const store = await openStore(root)
  expect(await all(store.list())).toEqual([])
  await store.close()
})

test('the exporter counts by state, and what it cannot read by code', async () => {
  const root = temporaryFolder()
  const store = await openStore(root)
  for (const id of ['a', 'b', 'c', 'bad']) await store.create(id)
  await store.transition('a', 'ready', 'running')
  await store.close()
  writeFileSync(join(root, 'bad', 'state.json'), '{"st')
  const exporter = start('exporter', root, '0')
  await exporter.until('http://')
  const address = exporter.lines[0] ?? ''
  expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  const { status, type, text } = await fetched(address)
  expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' })
  expect(text.split('\n')).toEqual([
    '# HELP sandbox_state_sandboxes Sandboxes by state.',
    '# TYPE sandbox_state_sandboxes gauge',
    'sandbox_state_sandboxes{state="ready"} 2',
    'sandbox_state_sandboxes{state="running"} 1',
    'sandbox_state_sandboxes{state="paused"} 0',
    'sandbox_state_sandboxes{state="stopped"} 0',
    '# HELP sandbox_state_unreadable Sandboxes whose state cannot be read, by error code.',
    '# TYPE sandbox_state_unreadable gauge',
    'sandbox_state_unreadable{code="CORRUPT_STATE"} 1',
    '',
  ])
  expect((await fetched(address.replace('metrics', ''))).status).toBe(404)
  exporter.child.kill('SIGTERM')
  const [code] = await once(exporter.child, 'exit')
  expect(code).toBe(0)
})

async function fetched(url: string): Promise<{ status?: number; type?: string; text: string }> {
  const [response] = await once(get(url, { agent: false }), 'response')
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, type: response.headers['content-type'], text }
}

test.each(['supervisor', 'two-services', 'exporter'])('%s without arguments says how it is used', name => {
  const { status, stderr } = spawnSync(process.execPath, [join(EXAMPLES, `${name}.mjs`)], {
    encoding: 'utf8',
  })
  expect(status).toBe(2)
  expect(stderr).toContain(`usage: node examples/${name}.mjs`)
})

test("the README's commands print what it says", async () => {
  const folder = temporaryFolder()
  const plain = (line: string) => line.replace(/agent-[0-9a-f-]{36}/, 'agent-ID')
  const block = /```console\n([\s\S]*?)```/.exec(readFileSync(join(EXAMPLES, 'README.md'), 'utf8'))?.[1] ?? ''
  const commands = [...block.matchAll(/^\$ node examples\/([\w-]+)\.mjs (.*)\n((?:(?!\$).*\n)*)/gm)]
  expect(commands).toHaveLength(4)
  for (const [, name = '', args = '', output = ''] of commands) {
    const { code, lines } = await run(name, ...args.replace('/tmp', folder).split(' '))
    expect({ code, lines: lines.map(plain) }).toEqual({
      code: 0,
      lines: output.trim().split('\n').map(plain),
    })
  }
})
