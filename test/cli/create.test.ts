import { describe, expect, it } from 'vitest'
import { Root, stateText } from './support.js'

describe('create', () => {
  it('makes a sandbox that is ready, and says nothing', async () => {
    const root = new Root()
    expect(await root.cli('create a')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(root.file('a')).toEqual(JSON.parse(stateText()))
  })

  it('takes every field', async () => {
    const root = new Root()
    await root.done([
      'create',
      'a',
      '--cgroup-path',
      '/kata/a b',
      '--block-index=-7',
      '--memory-block-size',
      '4294967295',
      '--hotplug-probe',
    ])
    expect(root.file('a')).toEqual({
      state: 'ready',
      blockIndex: -7,
      guestMemoryBlockSize: 4294967295,
      guestMemoryHotplugProbe: true,
      cgroupPath: '/kata/a b',
    })
  })

  it.each(['-9007199254740991', '9007199254740991', '-0', '007'])(
    'takes %s for a block index',
    async text => {
      const root = new Root()
      await root.done(['create', 'a', '--block-index', text])
      expect(root.file('a')).toMatchObject({ blockIndex: Number(text) + 0 })
    },
  )

  it('says a line to a person, and prints the state as JSON when asked', async () => {
    const root = new Root()
    expect(await root.done('create a', { terminal: true })).toBe('a: created, ready\n')
    expect(await root.done('create b --block-index 1 --format json')).toBe(await root.done('state b'))
  })

  it('refuses an id that is taken, and leaves that sandbox as it is', async () => {
    const root = new Root()
    await root.done('create a --block-index 1')
    const before = root.snapshot()
    expect(await root.cli('create a --block-index 2')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'sandbox-state: ALREADY_EXISTS: sandbox a already exists\n',
    })
    expect(root.snapshot()).toEqual(before)
  })

  it.each(['', '.', '..', '.a', 'a/b', 'a b', 'ä', '-', 'a'.repeat(129)])('refuses the id %j', async id => {
    const root = new Root()
    const { status, stderr } = await root.cli(['create', '--', id])
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: INVALID_ID: /)
    expect(() => root.snapshot()).toThrow('ENOENT')
  })
})
