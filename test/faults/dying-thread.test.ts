import { expect, test } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { SLOW } from '../support/strace.js'

const disk = filesystems.find(({ name }) => name !== 'memory')?.folder

if (disk === undefined) console.warn('no thread dies: there is no disk')

test.skipIf(disk === undefined).each(['early', 'late'])(
  'the commit thread dies in the middle of a batch (%s): each change is old, new or unknown, and holds no lock',
  async when => {
    const child = startProgram('dying-thread', [temporaryFolder(disk), when], {
      env: { ...process.env, ...SLOW },
    })
    const report = (await nextMessage(child)) as Record<string, unknown[]>
    const { outcomes = [], after = [] } = report
    expect(report).toMatchObject({ begun: 1, next: [2, 2, 2], findings: [] })
    expect(outcomes).toHaveLength(3)
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome !== 1) expect(outcome).toBe('OUTCOME_UNKNOWN')
      expect(outcome === 1 ? [1] : [0, 1]).toContain(after[i])
    }
    if (when === 'early') expect(outcomes).toContain('OUTCOME_UNKNOWN')
  },
)
