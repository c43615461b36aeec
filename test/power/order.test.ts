import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { effort } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { type Call, faultsOf } from './posix-disk.js'

/** The root is new, and so is the folder that it lies in. */
const ROOT = 'new/root'
const LIFE = ['create', 'transition', 'update', 'delete', 'create']

/** Runs programs/story.mjs with its calls traced. */
class Story {
  readonly folder = realpathSync(temporaryFolder(existsSync('/var/tmp') ? '/var/tmp' : undefined))
  private readonly trace = join(this.folder, 'trace')

  /** @param how `without` a kind of flush; `killAt` so many calls; in several `roots` one after the other */
  async run(
    changes: readonly string[],
    how: { without?: string; killAt?: number; roots?: readonly string[] } = {},
  ): Promise<void> {
    const { without, killAt } = how
    const roots = (how.roots ?? [ROOT]).map(root => join(this.folder, root)).join(':')
    // What is taken away is called first, and so not traced.
    const preloads = ['trace', ...(without === undefined ? [] : ['without-fsync'])].map(program)
    const env = {
      ...process.env,
      NODE_OPTIONS: preloads.map(path => `--import=${path}`).join(' '),
      TRACE: this.trace,
      STORE_ROOT: roots,
      ...(without === undefined ? {} : { WITHOUT_FSYNC: without }),
      ...(killAt === undefined ? {} : { KILL_AT: String(killAt) }),
    }
    const args = [program('story'), roots, ...changes]
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [code, signal] = await once(child, 'exit')
    expect(signal ?? code).toBe(killAt === undefined ? 0 : 'SIGKILL')
  }

  calls(): Call[] {
    const lines = readFileSync(this.trace, 'utf8').split('\n').slice(0, -1)
    return lines.map(line => JSON.parse(line))
  }

  faults(): string[] {
    return faultsOf(this.calls(), this.folder)
  }
}

function program(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}.mjs`, import.meta.url))
}

const LOSABLE = /^(lock|history\.jsonl|state\.json\.lock)$/

/** The calls of each change on files that a power cut must not lose, in words. */
function inWords(calls: readonly Call[], folder: string): string[] {
  const names = new Map<number, string>([[statSync(folder).ino, '.']])
  return calls.flatMap(call => {
    if (call.call === 'acknowledged') return ['acknowledged']
    const name = 'name' in call ? call.name : names.get(call.ino)
    if (name === undefined) return [] // A folder above.
    if (call.call === 'create' || call.call === 'mkdir') names.set(call.ino, name)
    return LOSABLE.test(name) ? [] : [`${call.call} ${name}`]
  })
}

describe('a durable change', () => {
  test('writes and flushes in the documented order', async () => {
    const story = new Story()
    await story.run(LIFE)
    const content = ['create .state.json.tmp', 'write .state.json.tmp', 'fsync .state.json.tmp']
    const change = [...content, 'rename state.json', 'fsync x', 'acknowledged']
    expect(inWords(story.calls(), story.folder)).toEqual([
      ...['mkdir new', 'mkdir root', 'fsync new', 'fsync .'],
      ...['mkdir x', 'fsync root', ...change],
      ...change,
      ...change,
      ...['remove state.json', 'fsync x', 'remove x', 'acknowledged'],
      ...['mkdir x', 'fsync root', ...change],
    ])
  })

  test('is kept by any disk that does no more than POSIX says', async () => {
    const story = new Story()
    await story.run(LIFE)
    expect(story.calls().filter(({ call }) => call === 'acknowledged')).toHaveLength(LIFE.length)
    expect(story.faults()).toEqual([])
  })

  test.each([
    { without: 'file', fault: 'new/root/x: the state file may be torn' },
    { without: 'folder', fault: 'new/root/x: an acknowledged change may be undone' },
    { without: 'root', fault: 'new/root/x: an acknowledged change may be undone' },
    { without: 'parent', fault: 'new/root/x: an acknowledged change may be undone' },
  ])('is not kept without the flush of the $without', async ({ without, fault }) => {
    const story = new Story()
    await story.run(LIFE, { without })
    expect(story.faults()).toContain(fault)
  })

  test('is kept also by a process that goes on after another was killed at any call', {
    timeout: 90_000,
  }, async () => {
    const whole = new Story()
    await whole.run(['create', 'delete'])
    const story = new Story()
    const roots: string[] = []
    for (const [index, call] of whole.calls().entries()) {
      if (call.call === 'write' || call.call === 'acknowledged') continue
      if ('name' in call && LOSABLE.test(call.name)) continue
      if (index % effort(3, 1) !== 0) continue
      const root = `killed-at-${index + 1}-${call.call}/root`
      await story.run(['create', 'delete'], { killAt: index + 1, roots: [root] })
      roots.push(root)
    }
    await story.run(['goOn'], { roots })
    expect(story.faults()).toEqual([])
    expect(roots.length).toBeGreaterThan(effort(3, 12))
  })
})
