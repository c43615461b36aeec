import { describe, expect, it } from 'vitest'
import { HOSTILE, Root, stateText, UNPRINTABLE } from './support.js'

describe('state', () => {
  it('prints the state as JSON, indented by two spaces', async () => {
    const root = new Root()
    await root.done('create a --cgroup-path /kata/a --block-index -3 --memory-block-size 128 --hotplug-probe')
    const stdout = `{
  "state": "ready",
  "blockIndex": -3,
  "guestMemoryBlockSize": 128,
  "guestMemoryHotplugProbe": true,
  "cgroupPath": "/kata/a"
}
`
    expect(await root.cli('state a')).toEqual({ status: 0, stdout, stderr: '' })
    expect(await root.cli('state a --format json')).toEqual({ status: 0, stdout, stderr: '' })
  })

  it('prints the keys that it does not know, in their order and digit by digit', async () => {
    const root = new Root()
    root.put(
      'a',
      '{"2":12345678901234567890123, "STATE":"paused","x":{"b":1.50,"a":[]},"1":[{},1e400],"__proto__":null}',
    )
    expect(await root.done('state a')).toBe(`{
  "state": "paused",
  "blockIndex": 0,
  "guestMemoryBlockSize": 0,
  "guestMemoryHotplugProbe": false,
  "2": 12345678901234567890123,
  "x": {
    "b": 1.50,
    "a": []
  },
  "1": [
    {},
    1e400
  ],
  "__proto__": null
}
`)
  })

  it('prints labels and data, which keep their numbers digit by digit', async () => {
    const root = new Root()
    await root.done(['create', 'a', '--label', 'team=x', '--data', '{"image":"alpine"}'])
    expect(JSON.parse(await root.done('state a'))).toEqual(root.file('a'))
    root.put('b', '{"state":"ready","data":{"n":1.50}}')
    expect(await root.done('state b --json')).toContain('"n": 1.50')
  })

  it('escapes what a terminal could obey', async () => {
    const root = new Root()
    root.put('a', stateText({ cgroupPath: HOSTILE, [HOSTILE]: [HOSTILE] }))
    const stdout = await root.done('state a')
    expect(stdout).not.toMatch(UNPRINTABLE)
    expect(stdout).toContain('\\u001b[31mred\\u0007')
    expect(JSON.parse(stdout)).toMatchObject({ cgroupPath: HOSTILE, [HOSTILE]: [HOSTILE] })
  })

  it('changes nothing, and makes nothing', async () => {
    const root = new Root()
    expect((await root.cli('state a')).status).toBe(1)
    expect(() => root.snapshot()).toThrow('ENOENT')
    await root.done('create a')
    root.put('bad', 'nonsense')
    const before = root.snapshot()
    await root.done('state a')
    expect((await root.cli('state bad')).status).toBe(1)
    expect((await root.cli('state none')).status).toBe(1)
    expect(root.snapshot()).toEqual(before)
  })

  it.each([
    ['none', 'NOT_FOUND'],
    ['../a', 'INVALID_ID'],
    ['', 'INVALID_ID'],
    ['corrupt', 'CORRUPT_STATE'],
    ['invalid', 'INVALID_STATE'],
  ])('of %j fails with %s', async (id, code) => {
    const root = new Root()
    root.put('corrupt', '{')
    root.put('invalid', '{"state":"asleep"}')
    const { status, stdout, stderr } = await root.cli(['state', id])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^sandbox-state: ${code}: .+\\n$`))
  })

  it('takes an id that begins with a dash after --', async () => {
    const { status, stderr } = await new Root().cli('state -- -a')
    expect(status).toBe(1)
    expect(stderr).toContain('INVALID_ID')
  })
})
