import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { SandboxStore } from 'sandbox-state'
import { expect, onTestFinished, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, long } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { PATIENCE, until } from '../support/wait.js'

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

interface Example {
  readonly child: ChildProcess
  readonly lines: string[]
  /** Waits for a line. */
  until(text: string): Promise<void>
}

function fileOf(name: string): string {
  return join(EXAMPLES, `${name}.mjs`)
}

function start(name: string, ...args: string[]): Example {
  return startNode(fileOf(name), ...args)
}

function startNode(...argv: string[]): Example {
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', line => lines.push(line))
  return {
    child,
    lines,
    async until(text) {
      while (!lines.some(line => line.includes(text))) {
        await once(reader, 'line', { signal: AbortSignal.timeout(PATIENCE) })
      }
    },
  }
}

interface Outcome {
  readonly code: number | null
  readonly lines: string[]
}

function run(name: string, ...args: string[]): Promise<Outcome> {
  return outcome(start(name, ...args))
}

async function outcome({ child, lines }: Example): Promise<Outcome> {
  const [code] = await once(child, 'close')
  return { code, lines }
}

/** The processes of a supervisor's sandboxes; they end with the test. */
async function pidsOf(store: SandboxStore): Promise<number[]> {
  const pids = (await all(store.list())).map(entry =>
    'state' in entry ? (entry.state.data as { pid: number }).pid : 0,
  )
  onTestFinished(() => pids.forEach(kill))
  return pids
}

/** Kills a supervisor, then one of its sandboxes, and waits until that is an orphan. */
async function killBoth({ child }: Example, store: SandboxStore, pid: number | undefined): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
  kill(pid)
  await until('one is an orphan', async () => (await all(store.orphans())).length === 1)
}

async function end({ child }: Example): Promise<void> {
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
}

test('the supervisor finds its sandboxes again after it was killed, and reaps those that died', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  const first = start('supervisor', root, '3')
  await first.until('all sandboxes run')
  const pids = await pidsOf(store)
  await killBoth(first, store, pids[1])

  const second = start('supervisor', root, '3', '--reap')
  await second.until('all sandboxes run')
  const [, anew] = await pidsOf(store)
  expect(second.lines).toEqual([
    `sandbox-2: stopped, owner died: pid ${first.child.pid} (node supervisor.mjs)`,
    `sandbox-1: found again, process ${pids[0]} still runs`,
    `sandbox-3: found again, process ${pids[2]} still runs`,
    `sandbox-2: process ${anew} started`,
    'all sandboxes run',
  ])
  kill(pids[0])
  await second.until('sandbox-1: its process died, stopped')
  kill(anew)
  await second.until('sandbox-2: its process died, stopped')
  await store.transition('sandbox-3', 'running', 'paused')
  await end(second)
  expect(second.lines.at(-1)).toBe('sandbox-3: ended')
  const stopped = { state: { state: 'stopped' } }
  const left = await all(store.list())
  expect(left).toMatchObject([
    { id: 'sandbox-1', ...stopped },
    { id: 'sandbox-2', ...stopped },
  ])
  expect(left.filter(entry => 'owner' in entry)).toEqual([])
})

test('the supervisor leaves an orphan alone unless it is asked to reap, and never kills another process of that pid', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  const first = start('supervisor', root, '1')
  await first.until('all sandboxes run')
  await killBoth(first, store, (await pidsOf(store))[0])
  const stranger = spawn('sleep', ['60'], { stdio: 'ignore' })
  onTestFinished(() => void stranger.kill())
  await store.update('sandbox-1', state => ({ ...state, data: { pid: stranger.pid } }))

  const second = start('supervisor', root, '1')
  await second.until('all sandboxes run')
  expect(second.lines[0]).toBe('sandbox-1: left alone, orphaned')
  await end(second)
  expect(stranger).toMatchObject({ exitCode: null, signalCode: null })
  expect(await all(store.orphans())).toHaveLength(1)
})

test.runIf(process.platform === 'linux')(
  'a sandbox whose process could not be noted leaves none behind',
  async () => {
    const folder = temporaryFolder()
    // A state cannot be written.
    const store = await openTestStore(folder)
    await store.create('sandbox-1')
    mkdirSync(join(folder, 'sandbox-1', '.state.json.tmp'))
    // The sandbox inherits its environment: that is how to find it.
    const mark = `SANDBOX_STATE_TEST=${folder}`
    const [name = '', value] = mark.split('=')
    const { status } = spawnSync(process.execPath, [fileOf('supervisor'), folder, '1'], {
      env: { ...process.env, [name]: value },
      stdio: 'ignore',
    })
    onTestFinished(() => processesWith(mark).forEach(kill))
    expect(status).toBe(1)
    expect(await store.read('sandbox-1')).toMatchObject({ state: 'ready' })
    await until('its process has ended', () => processesWith(mark).length === 0)
  },
)

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
  const store = await openTestStore(root)
  for (const id of ['a', 'b']) {
    await store.create(id)
    await store.transition(id, 'ready', 'running')
  }
  return { root, store }
}

test('a reaper that comes too late takes the next one', async () => {
  const { root, store } = await twoRunning()
  const asks = join(temporaryFolder(), 'asks')
  const note = `
    import { subscribe } from 'node:diagnostics_channel'
    import { writeFileSync } from 'node:fs'
    subscribe('tracing:sandbox-state:change:start', ({ id }) => id === 'a' && writeFileSync('${asks}', ''))
  `
  let reaper: Example | undefined
  await store.update('a', state => {
    reaper = startNode(
      '--import',
      `data:text/javascript,${encodeURIComponent(note)}`,
      fileOf('two-services'),
      root,
      'reaper',
      '1',
    )
    blockUntil(() => existsSync(asks)) // By then it has seen that a runs.
    return { ...state, state: 'paused' }
  })
  expect(reaper && (await outcome(reaper))).toEqual({
    code: 0,
    lines: ['reaper: stopped and deleted 1, came too late for 1'],
  })
  expect(await all(store.list())).toMatchObject([{ id: 'a', state: { state: 'paused' } }])
})

test.runIf(long)('a reaper deletes what one that was killed had stopped', async () => {
  const { root, store } = await twoRunning()
  await store.transition('a', 'running', 'stopped')
  expect((await run('two-services', root, 'reaper', '1')).code).toBe(0)
  expect(await all(store.list())).toEqual([])
})

/** Waits for something without a turn of the event loop, as what runs under a lock must. */
function blockUntil(isSo: () => boolean): void {
  const end = performance.now() + PATIENCE
  while (!isSo()) {
    if (performance.now() > end) throw new Error('waited in vain')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}

test.runIf(long)('what agents run, and who owns it, is in their states', async () => {
  const root = join(temporaryFolder(), 'states')
  const agents = (...args: string[]) => run('agents', root, ...args)
  const [started] = await Promise.all([
    agents('start', 'ann', 'alpine:3.20', '8080'),
    agents('start', 'bob', 'debian:12'),
  ])
  expect(started).toMatchObject({ code: 0, lines: [expect.stringMatching(/^agent-[0-9a-f-]{36}$/)] })
  const [id = ''] = started.lines
  expect((await agents('open', id, '9090')).code).toBe(0)
  for (const wrong of [
    ['start', 'ann', 'alpine'],
    ['open', id, '99999'],
  ]) {
    const refused = spawnSync(process.execPath, [fileOf('agents'), root, ...wrong], {
      encoding: 'utf8',
    })
    expect(refused).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/: data\.(image|ports\.2): /),
    })
  }
  expect(await agents('list', 'ann')).toEqual({ code: 0, lines: [`${id} running alpine:3.20 8080,9090`] })
  expect((await agents('stop', id, 'out of budget')).code).toBe(0)
  const store = await openTestStore(root)
  const reasons = (await all(store.history(id))).map(({ reason }) => reason)
  expect(reasons).toEqual(['ann asked for it', undefined, 'port 9090 opened', 'out of budget'])
  expect(await agents('sweep', '1')).toEqual({ code: 0, lines: [] })
  expect(await agents('sweep', '0')).toEqual({ code: 0, lines: [`${id} of ann deleted`] })
  expect(await all(store.list())).toMatchObject([{ state: { data: { owner: 'bob' } } }])
})

test.runIf(long)('schedulers and reapers share a root: each sandbox is reaped once', async () => {
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
  const store = await openTestStore(root)
  expect(await all(store.list())).toEqual([])
})

test('the exporter counts by state, and what it cannot read by code', async () => {
  const root = temporaryFolder()
  const store = await openTestStore(root)
  for (const id of ['a', 'b', 'c', 'bad']) await store.create(id)
  await store.transition('a', 'ready', 'running')
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
  await end(exporter)
})

const noTelemetry = whyNoTelemetry()
if (noTelemetry !== undefined) console.warn(`the example with OpenTelemetry is not run: ${noTelemetry}`)

test.skipIf(noTelemetry !== undefined)('the spans of OpenTelemetry are as the document shows', async () => {
  const document = readFileSync(new URL('../../docs/observability.md', import.meta.url), 'utf8')
  const [, shown = ''] = /^\$ node examples\/opentelemetry\.mjs .*\n([\s\S]*?)^```$/m.exec(document) ?? []
  const { code, lines } = await run('opentelemetry', temporaryFolder())
  expect({ code, lines }).toEqual({ code: 0, lines: shown.trimEnd().split('\n') })
  const transition = JSON.parse(lines[1] ?? '')
  expect(transition).toMatchObject({ isChild: true, attributes: { 'sandbox.reason': 'first request' } })
})

function whyNoTelemetry(): string | undefined {
  try {
    createRequire(EXAMPLES).resolve('@opentelemetry/sdk-trace-base')
    return undefined
  } catch (error) {
    return String(error)
  }
}

async function fetched(url: string): Promise<{ status?: number; type?: string; text: string }> {
  const [response] = await once(get(url, { agent: false }), 'response')
  return { status: response.statusCode, type: response.headers['content-type'], text: await text(response) }
}

test.each(effort(['supervisor'], ['supervisor', 'two-services', 'exporter']))(
  '%s without arguments says how it is used',
  name => {
    const { status, stderr } = spawnSync(process.execPath, [fileOf(name)], {
      encoding: 'utf8',
    })
    expect(status).toBe(2)
    expect(stderr).toContain(`usage: node examples/${name}.mjs`)
  },
)

test.runIf(long)("the README's commands print what it says", async () => {
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
