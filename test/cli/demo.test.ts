import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, expect, it, vi } from 'vitest'
import { effort, long } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { MEMORY, Root, spawnCli, startCli, UNPRINTABLE } from './support.js'

/** The processes whose arguments name something in this folder. */
function processesOf(folder: string): string[] {
  return execFileSync('ps', ['-Ao', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter(line => line.includes(folder))
}

const NOTHING_LEFT = { stderr: '', files: [], processes: [] }

/** A demonstration under way; `end` tells how it ended and what it left. */
function startDemo() {
  const TMPDIR = temporaryFolder(MEMORY)
  const child = startCli(['demo'], { TMPDIR })
  const ended = once(child, 'close')
  const stderr = text(child.stderr)
  return {
    stdout: child.stdout,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    async end() {
      const [code, signal] = await ended
      return {
        code,
        signal,
        stderr: await stderr,
        files: readdirSync(TMPDIR),
        processes: processesOf(TMPDIR),
      }
    },
  }
}

// Some 20 processes start in each.
vi.setConfig({ testTimeout: 90_000 })

describe('demo', () => {
  const everywhere = [
    ['memory', MEMORY],
    ['disk', '/var/tmp'],
  ] as const
  it.runIf(long).each(everywhere)(
    'shows what happens, finds it as promised, and touches and leaves nothing else (%s)',
    async (_, folder) => {
      const TMPDIR = join(temporaryFolder(folder), '\u001b[31m')
      mkdirSync(TMPDIR)
      const root = new Root()
      const { status, stdout, stderr } = await spawnCli(['demo', '--root', root.path], { TMPDIR })
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(existsSync(root.path)).toBe(false)
      expect(stdout).not.toMatch(UNPRINTABLE)
      expect(stdout.split('\n').length).toBeGreaterThan(40)
      expect(stdout.split('\n').length).toBeLessThan(75)
      expect(stdout.match(/^ {3}ok: /gm)).toHaveLength(8)
      expect(stdout).not.toContain('FAILED')
      expect(stdout.match(/: STATE_MISMATCH: /g)).toHaveLength(4)
      expect(stdout.match(/^ {3}pid \d+: moved$/gm)).toHaveLength(1)
      for (const part of [
        'LOCK_TIMEOUT: ',
        'INVALID_TRANSITION: ',
        'kill -9 ',
        ' ms later',
        'running -> stopped  pid ',
        'owner died: pid ',
        'All 8 checks passed',
      ]) {
        expect(stdout).toContain(part)
      }
      expect(readdirSync(TMPDIR)).toEqual([])
      expect(processesOf(TMPDIR)).toEqual([])
    },
  )

  it.runIf(long)('prints as JSON what it has checked, and leaves the store there with --keep', async () => {
    const TMPDIR = temporaryFolder(MEMORY)
    const { status, stdout } = await spawnCli(['demo', '--keep', '--format', 'json'], { TMPDIR })
    expect(status).toBe(0)
    const { ok, checks } = JSON.parse(stdout)
    expect(ok).toBe(true)
    expect(checks).toHaveLength(8)
    expect(checks).toContainEqual({ claim: 'cache is found to be an orphan', ok: true })
    const [name = ''] = readdirSync(TMPDIR)
    const root = join(TMPDIR, name)
    expect(await new Root(root).done('list --format ids')).toBe('cache\ndb\nweb\n')
  })

  const interrupts = [
    ['SIGINT', 'stands still'],
    ['SIGINT', 'A store on a temporary root'],
    ['SIGTERM', 'the first of them got in'],
    ['SIGTERM', 'owns cache'],
    ['SIGHUP', 'db from ready to running'],
  ] as const
  it.each(interrupts.slice(0, effort(1, interrupts.length)))(
    'leaves nothing behind after %s either (%s)',
    async (signal, when) => {
      const { stdout, kill, end } = startDemo()
      for await (const line of createInterface({ input: stdout })) {
        if (line.includes(when)) kill(signal)
      }
      expect(await end()).toEqual({ code: null, signal, ...NOTHING_LEFT })
    },
  )

  it.runIf(long)('ends quietly, and leaves nothing behind, when its reader goes away', async () => {
    const { stdout, end } = startDemo()
    stdout.once('data', () => stdout.destroy())
    expect(await end()).toEqual({ code: 0, signal: null, ...NOTHING_LEFT })
  })
})
