import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { long } from '../support/effort.js'
import { holdLock } from './hold-lock.js'
import { BIN, linesOf, Root, spawnCli, startCli, stateText } from './support.js'

const execute = promisify(execFile)

/** A thousand sandboxes: far more than a pipe takes, even of their ids alone. */
function thousandSandboxes(bytes = 1_000): Root {
  const root = new Root()
  const content = stateText({ cgroupPath: `/${'x'.repeat(bytes)}` })
  for (let n = 0; n < 1_000; n++) root.put(idOf(n), content)
  return root
}

const idOf = (n: number) => String(n).padStart(100, '0')

/** Preloaded, it prints a line when a change of the program meets a lock. */
const SAYS_WHEN_IT_WAITS = `
  import { subscribe } from 'node:diagnostics_channel'
  subscribe('tracing:sandbox-state:change:start', change => {
    const timer = setInterval(() => {
      if (change.lockWait === undefined) return
      clearInterval(timer)
      console.error('waits')
    }, 1)
  })
`

describe('the program', () => {
  it('is run by a shell, and its exit status is the outcome', async () => {
    const root = new Root()
    const env = { SANDBOX_STATE_ROOT: root.path }
    expect(await spawnCli(['create', 'a'], env)).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await spawnCli(['list', '--format', 'ids'], env)).toEqual({ status: 0, stdout: 'a\n', stderr: '' })
    expect(await spawnCli(['state', 'b'], env)).toMatchObject({ status: 1, stdout: '' })
    expect(await spawnCli(['state'], env)).toMatchObject({ status: 2, stdout: '' })
  })

  it('loads for a read only what a read needs', async () => {
    const root = new Root()
    await root.done('create a')
    const preload = new URL('./loaded-modules.mjs', import.meta.url).href
    const { stderr } = await execute(process.execPath, [
      '--import',
      preload,
      BIN,
      '--root',
      root.path,
      'state',
      'a',
    ])
    const loaded = stderr.split('\n')
    expect(loaded).toContainEqual(expect.stringMatching(/dist\/cli\/commands\/state\.js$/))
    expect(loaded).toContainEqual(expect.stringMatching(/commander\/lib\/command\.js$/))
    const packages = loaded
      .map(name => /node_modules\/([^/]+)/.exec(name)?.[1])
      .filter(name => name !== undefined)
    // @koromix is the part of koffi that is made for this platform.
    expect([...new Set(packages)]).toEqual(['commander', 'koffi', '@koromix'])
    expect(loaded.filter(name => /dist\/cli\/commands\//.test(name))).toHaveLength(1)
    const needless =
      /dist\/(index|schemas|copy|(etcd|kata|cli\/(live|demo))\/.*|cli\/(complete|copying))\.js$/
    expect(loaded).not.toContainEqual(expect.stringMatching(needless))
  })

  it('waits for a slow reader, and loses nothing', async () => {
    const root = thousandSandboxes()
    const child = startCli(['--root', root.path, 'list', '--format', 'json'])
    await once(child.stdout, 'readable')
    const entries = await json(child.stdout)
    expect(entries).toHaveLength(1_000)
    expect(entries).toMatchObject({ 999: { id: idOf(999), state: { state: 'ready' } } })
  })

  it.runIf(long)('lists as JSON more than fits into its memory', async () => {
    const root = thousandSandboxes(60_000)
    const env = { NODE_OPTIONS: '--max-old-space-size=24' }
    const child = startCli(['--root', root.path, 'list', '--format', 'json'], env)
    const ended = once(child, 'close')
    let bytes = 0
    for await (const chunk of child.stdout) bytes += chunk.length
    expect(await ended).toEqual([0, null])
    expect(bytes).toBeGreaterThan(60_000_000)
  })

  it('ends quietly when its reader has seen enough', async () => {
    const root = thousandSandboxes()
    const script = 'set -o pipefail; "$0" "$1" --root "$2" list --format "$3" | head -n 1'
    const list = (format: string) => execute('bash', ['-c', script, process.execPath, BIN, root.path, format])
    const line = { stdout: expect.stringMatching(/^[^\n]+\n$/), stderr: '' }
    expect(await Promise.all(['table', 'json', 'ids'].map(list))).toEqual([line, line, line])
  })

  it('keeps its exit status when nobody listens to its errors', async () => {
    const child = startCli(['state', 'none'])
    child.stderr.destroy()
    expect(await once(child, 'close')).toEqual([1, null])
  })

  it.runIf(existsSync('/dev/full'))('says so when only its output cannot be written', async () => {
    const root = new Root()
    const script = '"$0" "$1" --root "$2" $3 > /dev/full'
    const message = 'cannot write the output: ENOSPC: no space left on device'
    const lines = ['create a --format json', 'transition a running --format json', 'list', '--help']
    for (const line of lines) {
      const failed = execute('bash', ['-c', script, process.execPath, BIN, root.path, line])
      const isJson = line.includes('json')
      const stderr = isJson
        ? JSON.stringify({ code: 'OUTPUT', message })
        : `sandbox-state: OUTPUT: ${message}`
      await expect(failed).rejects.toMatchObject({ code: 1, stderr: `${stderr}\n` })
    }
    expect(root.file('a')).toMatchObject({ state: 'running' })
  })

  it('ends on SIGINT like any program, even while it waits for a lock', async () => {
    const root = new Root()
    await root.done('create a')
    using _ = holdLock(root, 'a')
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SAYS_WHEN_IT_WAITS)}` }
    const child = startCli(['--root', root.path, 'update', 'a', '--block-index', '1'], env)
    const ended = once(child, 'close')
    expect(await linesOf(child.stderr)()).toBe('waits')
    child.kill('SIGINT')
    expect(await ended).toEqual([null, 'SIGINT'])
  })

  it('is what package.json names', async () => {
    const { default: manifest } = await import('../../package.json', { with: { type: 'json' } })
    expect(fileURLToPath(new URL(`../../${manifest.bin['sandbox-state']}`, import.meta.url))).toBe(BIN)
  })
})
