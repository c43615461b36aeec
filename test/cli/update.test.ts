import { describe, expect, it } from 'vitest'
import { HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

describe('update', () => {
  it('changes the fields that are given, and leaves the others', async () => {
    const root = new Root()
    await root.done('create a --cgroup-path /a --block-index 1 --memory-block-size 2 --hotplug-probe')
    await root.done('update a --block-index -5')
    expect(root.file('a')).toMatchObject({ cgroupPath: '/a', blockIndex: -5, guestMemoryBlockSize: 2 })
    await root.done('update a --memory-block-size 0 --no-hotplug-probe')
    expect(root.file('a')).toMatchObject({ guestMemoryBlockSize: 0, guestMemoryHotplugProbe: false })
    await root.done('update a --hotplug-probe')
    expect(root.file('a')).toMatchObject({ guestMemoryHotplugProbe: true })
    await root.done(['update', 'a', '--cgroup-path', ''])
    expect(root.file('a')).toEqual(JSON.parse(stateText({ blockIndex: -5, guestMemoryHotplugProbe: true })))
  })

  it('sets and removes labels, and leaves the others', async () => {
    const root = new Root()
    await root.done('create a --label team=x --label tier=1')
    await root.done('update a --label team=y --label app=web --unlabel tier --unlabel none')
    expect(root.file('a')).toMatchObject({ labels: { app: 'web', team: 'y' } })
    await root.done('update a --block-index 1')
    expect(root.file('a')).toMatchObject({ labels: { app: 'web', team: 'y' } })
    await root.done('update a --unlabel app --unlabel team')
    expect(root.file('a')).not.toHaveProperty('labels')
  })

  it('replaces the data, and removes it', async () => {
    const root = new Root()
    await root.done(['create', 'a', '--data', '{"image":"alpine","ports":[80]}'])
    await root.done(['update', 'a', '--data', '{"image":"debian"}'])
    expect(root.file('a')).toMatchObject({ data: { image: 'debian' } })
    expect(root.file('a')).not.toHaveProperty('data.ports')
    for (const value of [null, false]) {
      await root.done(`update a --data ${value}`)
      expect(root.file('a')).toMatchObject({ data: value })
    }
    await root.done('update a --no-data')
    expect(root.file('a')).not.toHaveProperty('data')
    await root.done('update a --no-data')
  })

  it('notes a reason, but that alone is no change', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done(['update', 'a', '--block-index', '1', '--reason', 'a new disk'])
    expect(JSON.parse(await root.done('history a --json'))).toMatchObject([{}, { reason: 'a new disk' }])
    expect(await root.cli('update a --reason x')).toMatchObject({ status: 2 })
  })

  it('leaves labels of another kind as they are, and refuses to set others', async () => {
    const root = new Root()
    root.put('a', '{"state":"ready","labels":["x"]}')
    const { status, stderr } = await root.cli('update a --label team=x')
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('INVALID_STATE') })
    await root.done('update a --unlabel team --data 1')
    expect(root.file('a')).toMatchObject({ labels: ['x'], data: 1 })
  })

  it.each([
    ['--unlabel a=b', 'The name must have 1 to 63 letters'],
    ['--label a=1 --unlabel a', 'the label a is both set and removed'],
    ['--label a', 'It must be NAME=VALUE'],
    ['--data {', '--data must be JSON'],
  ])('refuses %s', async (options, message) => {
    const root = new Root()
    await root.done('create a')
    const before = root.snapshot()
    const { status, stderr } = await root.cli(`update a ${options} --json`)
    expect(status).toBe(2)
    expect(JSON.parse(stderr)).toEqual({ code: 'USAGE', message: expect.stringContaining(message) })
    expect(root.snapshot()).toEqual(before)
  })

  it('keeps the state and the keys that it does not know', async () => {
    const root = new Root()
    await root.done('create a')
    root.put('a', '{"state":"paused","future":{"b":1.50,"a":2}}')
    await root.done('update a --block-index 1')
    const stdout = await root.done('state a')
    expect(stdout).toContain('"state": "paused"')
    expect(stdout).toContain('"b": 1.50,\n    "a": 2')
  })

  it('says a line to a person, and prints the state as JSON when asked', async () => {
    const root = new Root()
    await root.done('create a')
    const terminal = true
    expect(await root.done('update a --block-index 2 --cgroup-path /a', { terminal })).toBe(
      'a: blockIndex 0 -> 2, cgroupPath "" -> "/a"\n',
    )
    expect(await root.done('update a --block-index 2', { terminal })).toBe('a: unchanged\n')
    expect(await root.done('update a --label b=1 --label a=2 --data [1]', { terminal })).toBe(
      'a: labels none -> a=2,b=1, data none -> [1]\n',
    )
    expect(await root.done('update a --unlabel a --no-data', { terminal })).toBe(
      'a: labels a=2,b=1 -> b=1, data [1] -> none\n',
    )
    expect(await root.done('update a --unlabel b', { terminal })).toBe('a: labels b=1 -> none\n')
    const hostile = ['--cgroup-path', HOSTILE, '--label', `l=${HOSTILE}`, '--data', JSON.stringify(HOSTILE)]
    const line = await root.done(['update', 'a', ...hostile], { terminal })
    expect(line).not.toMatch(UNPRINTABLE)
    expect(line.match(/\\u001b\[31mred/g)).toHaveLength(3)
    const long = await root.done(['update', 'a', '--data', JSON.stringify('x'.repeat(500))], { terminal })
    expect(long.length).toBeLessThan(250)
    expect(await root.done('update a --block-index 3 --format json')).toBe(await root.done('state a'))
  })

  it('wants a field', async () => {
    const root = new Root()
    await root.done('create a')
    const before = root.snapshot()
    const { status, stderr } = await root.cli('update a')
    expect(status).toBe(2)
    expect(stderr).toBe(
      'sandbox-state: USAGE: nothing to change is given, such as --block-index 2 or --label team=a (see: sandbox-state update --help)\n',
    )
    expect(root.snapshot()).toEqual(before)
  })

  it.each([
    ['none', 'NOT_FOUND'],
    ['bad', 'CORRUPT_STATE'],
    ['odd', 'INVALID_STATE'],
    ['a/b', 'INVALID_ID'],
  ])('of %s fails with %s', async (id, code) => {
    const root = new Root()
    root.put('bad', 'nonsense')
    root.put('odd', '{"state":"asleep"}')
    const { status, stdout, stderr } = await root.cli(`update ${id} --block-index 1`)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^sandbox-state: ${code}: `))
  })
})
