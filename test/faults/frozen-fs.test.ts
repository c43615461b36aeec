import { describe, expect, test } from 'vitest'
import { places } from '../support/effort.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'

// node:fs and the signals are the program's: it may have frozen or patched them before it imports the store.

interface Report {
  readonly outcomes: Readonly<Record<string, readonly string[]>>
  readonly assigned: readonly string[]
  readonly changed: readonly string[]
  readonly handled: readonly string[]
}

describe.each(places)('in a program, on $name', ({ folder }) => {
  async function run(how: string): Promise<Report> {
    return (await nextMessage(startProgram('guarded-fs', [temporaryFolder(folder), how]))) as Report
  }

  function expectMade({ outcomes }: Report): void {
    expect(Object.keys(outcomes)).toEqual(['create', 'transition', 'update', 'repair', 'delete', 'close'])
    expect(new Set(Object.values(outcomes).flat())).toEqual(new Set(['ok']))
  }

  test.each(['frozen', 'patched'])(
    'that has %s node:fs, sandboxes can be changed, and it stays so',
    async how => {
      const report = await run(how)
      expectMade(report)
      expect(report.changed).toEqual([])
    },
  )

  test('no change assigns to node:fs, not even for a moment', async () => {
    const report = await run('watched')
    expectMade(report)
    expect(report.assigned).toEqual([])
  })

  test("a change leaves node:fs Node's own, and no handler of a signal", async () => {
    const report = await run('untouched')
    expectMade(report)
    expect.soft(report.changed).toEqual([])
    expect.soft(report.handled).toEqual([])
  })
})
