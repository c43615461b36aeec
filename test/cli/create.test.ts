import { describe, expect, it } from 'vitest'
import { HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

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

  it('takes labels, data and a reason', async () => {
    const root = new Root()
    const reason = 'asked for by the owner'
    const data = '{"image": "a=b", "ports": [80, 1e3]}'
    await root.done([
      'create',
      'a',
      '--label',
      'team=x=y',
      '--label',
      'app=',
      '--data',
      data,
      '--reason',
      reason,
    ])
    expect(root.file('a')).toMatchObject({ labels: { team: 'x=y', app: '' }, data: JSON.parse(data) })
    expect(JSON.parse(await root.done('history a --json'))).toMatchObject([{ from: null, reason }])
    for (const data of ['null', 'false', '0', '""', '[]']) {
      await root.done(['create', `b${data.length}${data.charCodeAt(0)}`, '--data', data])
      expect(root.file(`b${data.length}${data.charCodeAt(0)}`)).toMatchObject({ data: JSON.parse(data) })
    }
  })

  it.each([
    ['--label', 'team', 'It must be NAME=VALUE, such as team=a'],
    ['--label', '=x', 'The name must have 1 to 63 letters, digits'],
    ['--label', '__proto__=x', 'The name must have 1 to 63 letters, digits'],
    ['--label', `${'a'.repeat(64)}=x`, 'The name must have 1 to 63 letters, digits'],
    ['--label', `team=${'x'.repeat(257)}`, 'the value of the label team must have at most 256 characters'],
    ['--label', 'a=1 --label a=2', 'The label a is given twice'],
    ['--label', Array.from({ length: 65 }, (_, i) => `l${i}=`).join(' --label '), 'at most 64 labels'],
    ['--data', 'alpine', `--data must be JSON, such as '{"a":1}' with these quotes: Unexpected token`],
    ['--data', '{"a":1', '--data must be JSON, such as '],
    ['--data', '', '--data must be JSON, such as '],
    ['--data', '[9007199254740993]', 'the number 9007199254740993 in --data would be rounded'],
    ['--data', '{"a":-1e999}', 'the number -1e999 in --data would be rounded'],
    ['--data', HOSTILE, '--data must be JSON, such as '],
    ['--label', HOSTILE, 'It must be NAME=VALUE'],
    ['--reason', 'x'.repeat(257), '--reason must have at most 256 characters'],
  ])('refuses %s %.40s', async (option, value, message) => {
    const root = new Root()
    const { status, stdout, stderr } = await root.cli(['create', 'a', option, ...value.split(' ')])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^sandbox-state: USAGE: /)
    expect(stderr).toContain(message)
    expect(stderr).not.toMatch(UNPRINTABLE)
    expect(() => root.snapshot()).toThrow('ENOENT')
  })

  it('takes what only looks like a number that would be rounded', async () => {
    const root = new Root()
    const data = '{"9007199254740993":"9007199254740993","\\"1":9007199254740991,"x":0.1}'
    await root.done(['create', 'a', '--data', data])
    expect(root.file('a')).toMatchObject({ data: JSON.parse(data) })
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
