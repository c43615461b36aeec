import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { temporaryFolder } from '../support/root.js'
import { BIN, MEMORY, Root, spawnCli, UNPRINTABLE } from './support.js'

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
  const child = spawn(process.execPath, [BIN, 'demo'], {
    env: { ...process.env, TMPDIR },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill())
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

// Seven processes start in each.
vi.setConfig({ testTimeout: 90_000 })

describe('demo', () => {
  it.each([
    ['memory', MEMORY],
    ['disk', '/var/tmp'],
  ])('shows what happens, finds it as promised, and leaves nothing behind (%s)', async (_, folder) => {
    const TMPDIR = join(temporaryFolder(folder), '\u001b[31m')
    mkdirSync(TMPDIR)
    const { status, stdout, stderr } = await spawnCli(['demo'], { TMPDIR })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).not.toMatch(UNPRINTABLE)
    expect(stdout.split('\n').length).toBeGreaterThan(40)
    expect(stdout.split('\n').length).toBeLessThan(65)
    expect(stdout.match(/^ {3}ok: /gm)).toHaveLength(6)
    expect(stdout).not.toContain('FAILED')
    expect(stdout.match(/: STATE_MISMATCH: /g)).toHaveLength(4)
    expect(stdout.match(/^ {3}pid \d+: moved$/gm)).toHaveLength(1)
    for (const part of [
      'LOCK_TIMEOUT: ',
      'INVALID_TRANSITION: ',
      'kill -9 ',
      ' ms later',
      'All 6 checks passed',
    ]) {
      expect(stdout).toContain(part)
    }
    expect(readdirSync(TMPDIR)).toEqual([])
    expect(processesOf(TMPDIR)).toEqual([])
  })

  it('prints as JSON what it has checked', async () => {
    const { status, stdout } = await spawnCli(['demo', '--format', 'json'], { TMPDIR: MEMORY })
    expect(status).toBe(0)
    const { ok, checks } = JSON.parse(stdout)
    expect(ok).toBe(true)
    expect(checks).toHaveLength(6)
    expect(checks).toContainEqual({ claim: 'none of them got in', ok: true })
  })

  it('leaves the store there with --keep', async () => {
    const TMPDIR = temporaryFolder(MEMORY)
    const { status, stdout } = await spawnCli(['demo', '--keep'], { TMPDIR })
    expect(status).toBe(0)
    const [name = ''] = readdirSync(TMPDIR)
    const root = join(TMPDIR, name)
    expect(stdout).toContain(`sandbox-state --root ${root} list\n`)
    expect(await new Root(root).done('list --format ids')).toBe('cache\ndb\nweb\n')
  })

  it.each([
    ['SIGINT', 'A store on a temporary root'],
    ['SIGINT', 'stands still'],
    ['SIGTERM', 'the first of them got in'],
    ['SIGHUP', 'db from ready to running'],
  ] as const)('leaves nothing behind after %s either (%s)', async (signal, when) => {
    const { stdout, kill, end } = startDemo()
    for await (const line of createInterface({ input: stdout })) {
      if (line.includes(when)) kill(signal)
    }
    expect(await end()).toEqual({ code: null, signal, ...NOTHING_LEFT })
  })

  it('ends quietly, and leaves nothing behind, when its reader goes away', async () => {
    const { stdout, end } = startDemo()
    stdout.once('data', () => stdout.destroy())
    expect(await end()).toEqual({ code: 0, signal: null, ...NOTHING_LEFT })
  })

  it('touches no other store', async () => {
    const root = new Root()
    expect((await spawnCli(['demo', '--root', root.path], { TMPDIR: MEMORY })).status).toBe(0)
    expect(existsSync(root.path)).toBe(false)
  })
})
