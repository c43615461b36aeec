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
    const line = await root.done(['update', 'a', '--cgroup-path', HOSTILE], { terminal })
    expect(line).not.toMatch(UNPRINTABLE)
    expect(await root.done('update a --block-index 3 --format json')).toBe(await root.done('state a'))
  })

  it('wants a field', async () => {
    const root = new Root()
    await root.done('create a')
    const before = root.snapshot()
    const { status, stderr } = await root.cli('update a')
    expect(status).toBe(2)
    expect(stderr).toBe(
      'sandbox-state: USAGE: no field is given, such as --block-index 2 (see: sandbox-state update --help)\n',
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
