import { describe, expect, it } from 'vitest'
import type { Sight } from '#src/cli/live/board.js'
import { frame, rowsThatFit } from '#src/cli/live/live.js'

const NOW = 1_800_000_000_000

const sights: readonly Sight[] = [
  {
    id: 'a',
    now: 'running',
    since: NOW - 5_000,
    by: 'pid 7 (x)',
    reason: 'first request',
    owner: { state: 'owned', pid: 7, command: 'x' },
  },
  { id: 'bad', now: 'CORRUPT_STATE', since: undefined },
  {
    id: 'z',
    now: 'paused',
    since: NOW,
    by: 'pid 9 (y)',
    owner: { state: 'orphaned', pid: 7, command: 'x' },
    lock: { lock: 'flock', pid: 1, command: 'z' },
  },
]

function view(rows: number, all = sights) {
  const shown = all.slice(0, rowsThatFit(rows))
  return { root: '/r', sights: shown, more: all.length - shown.length }
}

describe('a frame of the live view', () => {
  it('says of a sandbox that is not there that it is awaited', () => {
    const awaited = { ...view(0), id: 'later', sights: [], more: 0 }
    expect(frame(awaited, { rows: 5, columns: 80 }, false, NOW)[2]).toBe('no sandbox later yet')
    expect(frame({ ...awaited, sights }, { rows: 9, columns: 80 }, false, NOW).join('\n')).not.toContain(
      'later',
    )
  })

  it('fits on a screen of any height', () => {
    for (let rows = 1; rows < 12; rows++) {
      const lines = frame(view(rows), { rows, columns: 80 }, false, NOW)
      expect(lines.length).toBeLessThanOrEqual(rows)
      expect(lines.at(-1)).toContain('Ctrl-C quits')
    }
  })

  it('shows a line for each sandbox, as many as there is room for', () => {
    const [a, , z] = sights
    expect(frame(view(8, a && z ? [a, z] : []), { rows: 8, columns: 100 }, false, NOW)).toEqual([
      '/r: 2 sandboxes',
      '',
      expect.stringMatching(/^ID {2}STATE +FOR +OWNER +LOCK HELD BY +LAST CHANGE BY +REASON$/),
      expect.stringMatching(/^a {3}running +5\.0s {2}pid 7 \(x\) +- +pid 7 \(x\) +first request$/),
      expect.stringMatching(/^z {3}paused +0s {2}orphaned +pid 1 \(z\) +pid 9 \(y\)$/),
      'Ctrl-C quits',
    ])
    expect(frame(view(5), { rows: 5, columns: 80 }, false, NOW)).toMatchObject({
      0: '/r: 3 sandboxes',
      4: '2 more do not fit; Ctrl-C quits',
    })
  })

  it('leaves out the middle of ids that would push the states off the screen', () => {
    const long = view(8, [{ id: `${'a'.repeat(60)}bcde`, now: 'running', since: NOW }, ...sights])
    const ids = [160, 80, 10].map(columns => {
      const lines = frame(long, { rows: 8, columns }, false, NOW)
      expect(Math.max(...lines.map(line => line.length))).toBeLessThan(Math.max(columns, 100))
      expect(lines[4]).toMatch(/^a {2,}running/)
      return lines[3]?.split(' ')[0]
    })
    expect(ids).toEqual([`${'a'.repeat(60)}bcde`, 'aaaaaaaa…aaaabcde', 'aaaaaaaa…aaaabcde'])
  })
})
