import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { holdLock } from './hold-lock.js'
import { HOSTILE, Root, UNPRINTABLE } from './support.js'

async function oneSandbox(): Promise<Root> {
  const root = new Root()
  await root.done(['create', 'a', '--label', 'team=x', '--data', '{"image":"alpine"}', '--reason', 'for you'])
  await root.done('transition a running')
  return root
}

describe('inspect', () => {
  it('prints everything about a sandbox as JSON, indented by two spaces', async () => {
    const root = await oneSandbox()
    const stdout = await root.done('inspect a')
    const inspection = JSON.parse(stdout)
    expect(stdout).toBe(`${JSON.stringify(inspection, null, 2)}\n`)
    const [{ changedAt, revision }] = JSON.parse(await root.done('list --json'))
    const history = JSON.parse(await root.done('history a --json'))
    expect(inspection).toEqual({
      id: 'a',
      state: root.file('a'),
      changedAt,
      revision,
      since: history[1].time,
      owner: null,
      lock: null,
      history,
      findings: [],
    })
    expect(await root.done('inspect a --format json', { terminal: true })).toBe(stdout)
    expect(await root.done('inspect a --json', { terminal: true })).toBe(stdout)
  })

  it('prints numbers and unknown keys as they are in the file', async () => {
    const root = new Root()
    root.put('a', '{"state":"paused","2":12345678901234567890123,"data":{"n":1.50}}')
    const stdout = await root.done('inspect a')
    expect(stdout).toContain('"2": 12345678901234567890123')
    expect(stdout).toContain('"n": 1.50')
  })

  it('is a page for a person', async () => {
    const root = await oneSandbox()
    const page = await root.done('inspect a', { terminal: true, env: { NO_COLOR: '1' } })
    expect(page).toMatch(
      /^Id +a\nState +running\nSince +\S+ \([\d.]+s ago\)\nChanged +.+\nRevision +\S+\nLocked by +-\n/,
    )
    expect(page).toContain('\n    "data": {\n      "image": "alpine"\n    }\n')
    expect(page).toMatch(/\n\nChanges\n {2}SEQ .*\n.* created, ready .* for you\n.* ready -> running .* -\n$/)
    // Without ages, and what they do to the widths of columns.
    const lasting = (text: string) => text.replaceAll(/[\d.]+s ago/g, '').replaceAll(/ +/g, ' ')
    expect(lasting(await root.done('inspect a --format text'))).toBe(lasting(page))
    expect(await root.done('inspect a', { terminal: true })).toContain(
      'State      \u001b[32mrunning\u001b[0m\n',
    )
  })

  it('shows the last 10 changes, who holds it, and its faults', async () => {
    const root = await oneSandbox()
    for (let i = 0; i < 10; i++) await root.done(`update a --block-index ${i}`)
    chmodSync(join(root.path, 'a'), 0o777)
    using _ = holdLock(root, 'a')
    const page = await root.done('inspect a --format text')
    expect(page).toContain('\nLast 10 changes\n  SEQ ')
    expect(page).not.toContain('created')
    expect(page).toMatch(/^Locked by +pid \d+ \(.+\)/m)
    const { lock: holder, history, findings } = JSON.parse(await root.done('inspect a'))
    expect(holder).toMatchObject({ lock: 'flock', pid: expect.any(Number) })
    expect(history).toHaveLength(10)
    expect(page).toMatch(/\n\nFaults\n {2}WRONG_MODE {2}its mode is 0777 and should be 0700\n$/)
    expect(findings).toMatchObject([{ code: 'WRONG_MODE', id: 'a', repairable: true }])
  })

  it('prints nothing that a terminal could obey', async () => {
    const root = new Root()
    await root.done([
      'create',
      'a',
      '--label',
      `l=${HOSTILE}`,
      '--data',
      JSON.stringify(HOSTILE),
      '--reason',
      HOSTILE,
    ])
    for (const format of ['json', 'text']) {
      const stdout = await root.done(`inspect a --format ${format}`)
      expect(stdout).not.toMatch(UNPRINTABLE)
      expect(stdout.match(/\\u001b\[31mred/g)).toHaveLength(3)
    }
  })

  it.each([
    ['none', 'NOT_FOUND'],
    ['a/b', 'INVALID_ID'],
    ['bad', 'CORRUPT_STATE'],
  ])('of %s fails with %s', async (id, code) => {
    const root = new Root()
    root.put('bad', 'nonsense')
    const { status, stdout, stderr } = await root.cli(`inspect ${id} --json`)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ code })
  })
})
