import { describe, expect, it } from 'vitest'
import { holdLock } from './hold-lock.js'
import { HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

const HOUR = 60 * 60 * 1000

/** Two that stopped two hours ago, one that just did, and others as old. */
async function someSandboxes(): Promise<Root> {
  const root = new Root()
  root.put('a', stateText({ state: 'stopped', labels: { team: 'x' } }))
  root.put('b', stateText({ state: 'stopped', labels: { team: HOSTILE } }))
  root.put('bad', 'nonsense')
  root.put('paused', stateText({ state: 'paused' }))
  root.put('running', stateText({ state: 'running' }))
  for (const id of ['a', 'b', 'bad', 'paused', 'running']) root.age(id, 2 * HOUR)
  root.put('new', stateText({ state: 'stopped' }))
  return root
}

const idsOf = async (root: Root) => {
  const { stdout } = await root.cli('list --format ids')
  return stdout.trimEnd().split('\n')
}

describe('prune', () => {
  it('deletes what has been stopped for long, and prints the ids', async () => {
    const root = await someSandboxes()
    expect(await root.cli('prune --older-than 3h')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(await root.cli('prune --older-than 90m')).toEqual({ status: 0, stdout: 'a\nb\n', stderr: '' })
    expect(await idsOf(root)).toEqual(['bad', 'new', 'paused', 'running'])
  })

  it('deletes only those in a state, or with a label', async () => {
    const root = await someSandboxes()
    expect(await root.done('prune --older-than 1h --state paused')).toBe('paused\n')
    expect(await root.done('prune --older-than 1h --label team=y')).toBe('')
    expect(await root.done('prune --older-than 1h --label team=x')).toBe('a\n')
    expect(await idsOf(root)).toEqual(['b', 'bad', 'new', 'running'])
  })

  it('only prints with --dry-run', async () => {
    const root = await someSandboxes()
    const before = root.snapshot()
    expect(await root.done('prune --older-than 1h --dry-run')).toBe('a\nb\n')
    expect(root.snapshot()).toEqual(before)
  })

  it('prints what it deleted as JSON, with nothing that a terminal could obey', async () => {
    const root = await someSandboxes()
    const listed = JSON.parse((await root.cli('list --state stopped --older-than 1h --json')).stdout)
    const stdout = await root.done('prune --older-than 1h --json')
    expect(stdout).not.toMatch(UNPRINTABLE)
    expect(JSON.parse(stdout)).toEqual(listed.filter(({ id }: { id: string }) => id !== 'bad'))
    expect(await root.done('prune --older-than 1h --json')).toBe('[]\n')
  })

  it('says to a person how many they were', async () => {
    const root = await someSandboxes()
    const terminal = true
    const planned = await root.cli('prune --older-than 1h --dry-run', { terminal })
    expect(planned).toMatchObject({
      stdout: 'a\nb\n',
      stderr: `2 sandboxes would be deleted from ${root.path}\n`,
    })
    await root.done('delete a')
    const { stderr } = await root.cli('prune --older-than 1h', { terminal })
    expect(stderr).toBe(`1 sandbox deleted from ${root.path}\n`)
    const missing = new Root()
    expect((await missing.cli('prune --older-than 1h', { terminal })).stderr).toBe(
      `0 sandboxes deleted from ${missing.path}, which does not exist yet\n`,
    )
  })

  it('deletes nothing for an age that is longer than any', async () => {
    const root = await someSandboxes()
    for (const age of ['1000000d', `${'9'.repeat(40)}d`, `${'9'.repeat(400)}d`]) {
      expect(await root.done(`prune --older-than ${age}`)).toBe('')
    }
  })

  it('goes on past a sandbox that somebody holds, and then says who', async () => {
    const root = new Root()
    for (const id of ['a', 'b']) {
      await root.done(`create ${id}`)
      await root.done(`transition ${id} stopped`)
      root.age(id, 2 * HOUR)
    }
    using _ = holdLock(root, 'a')
    const { status, stdout, stderr } = await root.cli('prune --older-than 1h --lock-timeout 0')
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'b\n' })
    expect(stderr).toMatch(/^sandbox-state: LOCK_TIMEOUT: \S+\/a is locked by pid /)
    root.put('c', stateText({ state: 'stopped' }))
    root.age('c', 2 * HOUR)
    const json = await root.cli('prune --older-than 1h --lock-timeout 0 --json')
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: 'c' }])
    expect(JSON.parse(json.stderr)).toMatchObject({ code: 'LOCK_TIMEOUT', id: 'a' })
  })

  it.each([
    ['', "required option '--older-than <time>' not specified"],
    ['--older-than', "option '--older-than <time>' needs a value"],
    ['--older-than 7', 'It must be a number and a unit'],
    ['--older-than 7w', 'It must be a number and a unit'],
    ['--older-than=-7d', 'It must be a number and a unit'],
    ['--older-than 1e3s', 'It must be a number and a unit'],
    ['--older-than 1h --state running', 'Allowed choices are ready, paused, stopped'],
    ['--older-than 1h --label x', 'It must be NAME=VALUE'],
    ['--older-than 1h a', 'too many arguments'],
  ])('refuses %j', async (options, message) => {
    const root = await someSandboxes()
    const before = root.snapshot()
    const { status, stdout, stderr } = await root.cli(`prune --json ${options}`.trimEnd())
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(JSON.parse(stderr)).toEqual({ code: 'USAGE', message: expect.stringContaining(message) })
    expect(root.snapshot()).toEqual(before)
  })

  it('fails when the root is no folder', async () => {
    const { status, stderr } = await new Root('/dev/null').cli('prune --older-than 1h')
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('IO_ERROR') })
  })
})
