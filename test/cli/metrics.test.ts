import { describe, expect, it } from 'vitest'
import { holdLock } from './hold-lock.js'
import { Root, spawnCli, stateText } from './support.js'

const HOUR = 60 * 60 * 1000

/** The samples of Prometheus's text format 0.0.4, every line of which must be valid and come after its family's type. */
function samples(text: string): Record<string, number> {
  const described = new Set<string>()
  const typed = new Set<string>()
  const found: Record<string, number> = {}
  expect(text.endsWith('\n')).toBe(true)
  for (const line of text.trimEnd().split('\n')) {
    const [, about, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? []
    if (about === 'HELP') {
      expect(described).not.toContain(name)
      described.add(name)
    } else if (about === 'TYPE') {
      expect({ line, rest, new: !typed.has(name) && described.has(name) }).toEqual({
        line,
        rest: 'gauge',
        new: true,
      })
      typed.add(name)
    } else {
      const [, family, labels = '', value] =
        /^([a-z_]+)(\{[a-z]+="[a-z]+"\})? (\d+(?:\.\d+)?)$/.exec(line) ?? []
      expect([line, [...typed].at(-1)]).toEqual([line, family])
      expect(found).not.toHaveProperty([`${family}${labels}`])
      found[`${family}${labels}`] = Number(value)
    }
  }
  return found
}

describe('metrics', () => {
  it('counts what there is', async () => {
    const root = new Root()
    const words = ['run', 'orphan', '--create', '--', 'sh', '-c', 'kill -9 $PPID $$']
    await spawnCli(['--root', root.path, ...words])
    await root.done('create a')
    root.put('b', stateText({ state: 'paused' }))
    root.put('bad', 'nonsense')
    root.age('b', 2 * HOUR)
    using _ = holdLock(root, 'a')
    const before = root.snapshot()
    const { sandbox_state_oldest_age_seconds: age, ...counts } = samples(await root.done('metrics'))
    expect(counts).toEqual({
      'sandbox_state_sandboxes{state="ready"}': 1,
      'sandbox_state_sandboxes{state="running"}': 1,
      'sandbox_state_sandboxes{state="paused"}': 1,
      'sandbox_state_sandboxes{state="stopped"}': 0,
      sandbox_state_orphans: 1,
      sandbox_state_unreadable: 1,
      sandbox_state_locks_held: 1,
    })
    expect(age).toBeGreaterThanOrEqual((2 * HOUR) / 1000)
    expect(age).toBeLessThan((3 * HOUR) / 1000)
    expect(root.snapshot()).toEqual(before)
  })

  it('has no oldest age without sandboxes', async () => {
    const counts = samples(await new Root().done('metrics'))
    expect(Object.values(counts)).toEqual([0, 0, 0, 0, 0, 0, 0])
    expect(counts).not.toHaveProperty('sandbox_state_oldest_age_seconds')
  })

  it('fails when the root is no folder, and takes no arguments', async () => {
    const { status, stderr } = await new Root('/dev/null').cli('metrics')
    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('IO_ERROR') })
    expect(await new Root().cli('metrics --json')).toMatchObject({ status: 2, stdout: '' })
  })
})
