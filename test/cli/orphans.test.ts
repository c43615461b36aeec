import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { holdLock } from './hold-lock.js'
import { HOSTILE, MEMORY, Root, spawnCli, UNPRINTABLE } from './support.js'

const original = mkdtempSync(join(MEMORY, 'sandbox-state-test-'))
afterAll(() => rmSync(original, { recursive: true }))
let made: Promise<void> | undefined

/** A copy of a root where `a` and `b` are orphans, `c` only says that it runs, and `d` was released. */
async function someOrphans(): Promise<Root> {
  made ??= makeOrphans(new Root(original))
  await made
  const root = new Root()
  cpSync(original, root.path, { recursive: true, preserveTimestamps: true })
  return root
}

async function makeOrphans(root: Root): Promise<void> {
  const run = (id: string, script: string) =>
    spawnCli(['--root', root.path, 'run', id, '--create', '--', 'sh', '-c', script])
  await Promise.all([run('a', 'kill -9 $PPID $$'), run('b', 'kill -9 $PPID $$'), run('d', 'exit')])
  await root.done('transition b paused')
  await root.done('create c')
  await root.done('transition c running')
}

describe('orphans', () => {
  it('lists them, and then exits with 1', async () => {
    const root = await someOrphans()
    const before = root.snapshot()
    const { status, stdout, stderr } = await root.cli('orphans')
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    const [head, ...rows] = stdout.trimEnd().split('\n')
    expect(head).toMatch(/^ID {2}STATE {4}OWNED-SINCE +LAST-OWNER$/)
    expect(rows).toEqual([
      expect.stringMatching(/^a {3}running {2}\d{4}-\S+Z {2}pid \d+ \(node bin\.js\)$/),
      expect.stringMatching(/^b {3}paused {3}\d{4}-\S+Z {2}pid \d+ \(node bin\.js\)$/),
    ])
    expect(await root.cli('orphans --format ids')).toEqual({ status: 1, stdout: 'a\nb\n', stderr: '' })
    const json = await root.cli('orphans --json')
    const listed = JSON.parse(await root.done('list --orphaned --json'))
    expect({ status: json.status, rows: JSON.parse(json.stdout) }).toEqual({ status: 1, rows: listed })
    expect(listed).toMatchObject([{ owner: { state: 'orphaned' } }, { owner: { state: 'orphaned' } }])
    expect(root.snapshot()).toEqual(before)
  })

  it('exits with 0 without any, and says so to a person', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.cli('orphans')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('orphans --json')).toEqual({ status: 0, stdout: '[]\n', stderr: '' })
    const { stderr } = await root.cli('orphans', { terminal: true })
    expect(stderr).toBe(`no orphans in ${root.path}\n`)
  })

  it.each(['orphans', 'reap'])('%s fails when the root is no folder', async line => {
    const { status, stderr } = await new Root('/dev/null').cli(`${line} --json`)
    expect({ status, ...JSON.parse(stderr) }).toMatchObject({ status: 1, code: 'IO_ERROR' })
  })

  it.each(['orphans a', 'orphans --format text', 'reap a', 'reap --force'])('refuses %j', async line => {
    expect(await new Root().cli(line)).toMatchObject({ status: 2, stdout: '' })
  })
})

describe('reap', () => {
  it('stops them, and prints which and why', async () => {
    const root = await someOrphans()
    const before = root.snapshot()
    const planned = await root.done('reap --dry-run')
    expect(root.snapshot()).toEqual(before)
    expect(planned).toMatch(
      /^ID {2}CHANGE {14}REASON\na {3}running -> stopped {2}owner died: pid \d+ \(node bin\.js\)\nb {3}paused -> stopped {3}owner died: .*\n$/,
    )
    expect(await root.done('reap')).toBe(planned)
    expect(await root.done('reap')).toBe('')
    expect(await root.done('list --state running --format ids')).toBe('c\n')
    const [last] = JSON.parse(await root.done('history a --json')).slice(-1)
    expect(last).toMatchObject({ to: 'stopped', reason: expect.stringMatching(/^owner died: pid \d+ \(/) })
  })

  it('prints JSON, and says to a person how many they were', async () => {
    const root = await someOrphans()
    const { stdout, stderr } = await root.cli('reap --dry-run --json', { terminal: true })
    expect(JSON.parse(stdout)).toMatchObject([
      { id: 'a', state: { state: 'running' }, owner: { state: 'orphaned' }, reason: expect.any(String) },
      { id: 'b', state: { state: 'paused' } },
    ])
    expect(stderr).toBe(`2 orphans would be stopped in ${root.path}\n`)
    expect((await root.cli('reap', { terminal: true })).stderr).toBe(`2 orphans stopped in ${root.path}\n`)
  })

  it('goes on past one that somebody holds, and then says who', async () => {
    const root = await someOrphans()
    using _ = holdLock(root, 'a')
    const { status, stdout, stderr } = await root.cli('reap --lock-timeout 0 --format ids')
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'b\n' })
    expect(stderr).toMatch(/^sandbox-state: LOCK_TIMEOUT: \S+\/a is locked by pid /)
  })
})

describe('an owner whose record another program wrote', () => {
  it.each([
    ['a time with other text', { since: `Jan 1 2026 (${HOSTILE.replace(/\s/g, '')})` }],
    ['a command that is too long for a reason', { command: 'x'.repeat(250) }],
  ])("is in nobody's way: %s", async (_, fields) => {
    const root = await someOrphans()
    const file = join(root.path, 'a', 'owner')
    const record = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...record, ...fields }))
    const orphans = await root.cli('orphans')
    expect(orphans).toMatchObject({ status: 1, stderr: '' })
    expect(orphans.stdout).not.toMatch(UNPRINTABLE)
    expect(await root.cli('reap --format ids')).toEqual({ status: 0, stdout: 'b\n', stderr: '' })
  })
})

describe('list and inspect', () => {
  it('show the owner', async () => {
    const root = await someOrphans()
    const env = { TERM: 'xterm' }
    const list = await root.done('list', { terminal: true, env })
    expect(list).toMatch(/^ID +STATE +CHANGED +OWNER +LABELS\n/)
    expect(list).toMatch(/^a .* \u001b\[31morphaned\u001b\[0m +-$/m)
    expect(list).toMatch(/^c .*s {2}- +-$/m)
    expect(await root.done('list --orphaned --format ids')).toBe('a\nb\n')
    expect(await root.done('list --orphaned --state paused --format ids')).toBe('b\n')
    expect(await root.done('inspect a --format text')).toMatch(
      /^Owner +orphaned by pid \d+ \(node bin\.js\), .* ago$/m,
    )
    expect(await root.done('inspect c --format text')).toMatch(/^Owner +-$/m)
    const none = await new Root().cli('list --orphaned', { terminal: true })
    expect(none.stderr).toMatch(/^no such sandboxes in /)
  })
})
