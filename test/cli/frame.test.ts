import { describe, expect, it } from 'vitest'
import type { Sight } from '#src/cli/live/board.js'
import { frame, rowsThatFit } from '#src/cli/live/frame.js'
import { Terminal } from '#src/cli/live/terminal.js'
import { Output } from '#src/cli/output.js'
import { widthOf } from '#src/cli/width.js'
import { Screen } from './support.js'

const NOW = 1_800_000_000_000

const sights: readonly Sight[] = [
  {
    id: 'a',
    now: 'running',
    kind: 'state',
    since: NOW - 5_000,
    isAtLeast: false,
    by: 'pid 7 (x)',
    holder: '',
  },
  {
    id: `long-${'x'.repeat(120)}`,
    now: 'CORRUPT_STATE',
    kind: 'error',
    since: NOW - 100_000_000,
    isAtLeast: true,
    holder: `pid 8 (${'y'.repeat(300)})`,
  },
  {
    id: 'z',
    now: 'deleted',
    kind: 'deleted',
    since: NOW,
    isAtLeast: false,
    by: `pid 9 (${'\u{1f600}監'.repeat(45)})`,
    holder: 'pid 1 (z)',
  },
]

function view(rows: number) {
  const shown = sights.slice(0, rowsThatFit({ rows, columns: 1 }))
  return {
    root: '/r/監視\u001b[2J',
    counts: new Map([
      ['running', 1],
      ['paused', 0],
      ['unreadable', 1],
    ]),
    sights: shown,
    more: sights.length - shown.length,
    now: NOW,
    quit: 'q',
  }
}

describe('a frame of the live view', () => {
  it('says of a sandbox that is not there that it is awaited', () => {
    const awaited = { ...view(0), id: 'later', sights: [], more: 0 }
    expect(frame(awaited, { rows: 5, columns: 40 }, false)[2]).toBe('no sandbox later yet')
    expect(frame({ ...awaited, sights }, { rows: 9, columns: 40 }, false).join('\n')).not.toContain('later')
  })

  it('fits on a screen of any size', () => {
    for (let rows = 1; rows < 12; rows++) {
      for (let columns = 1; columns < 200; columns++) {
        const size = { rows, columns }
        const lines = frame(view(rows), size, false)
        expect(lines.length).toBeLessThanOrEqual(rows)
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns)
        expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cs}]/u)
        // Colours take no room.
        expect(frame(view(rows), size, true).map(line => line.replaceAll(/\u001b\[\d+m/g, ''))).toEqual(lines)
      }
    }
  })

  it('shows what there is room for: first the id, the state and since when', () => {
    expect(frame(view(8), { rows: 8, columns: 120 }, false)).toEqual([
      '/r/監視\\u001b[2J: 2 sandboxes, 1 running, 1 unreadable',
      '',
      expect.stringMatching(/^ID +STATE +FOR +LAST CHANGE BY +LOCK HELD BY$/),
      expect.stringMatching(/^a +running +5\.0s {2}pid 7 \(x\) +-$/),
      expect.stringMatching(/^long-x+… {2}CORRUPT_STATE {2}>1d 3h +pid 8 \(y+…$/),
      expect.stringMatching(/^z +deleted +0s {2}pid 9 \(.*… +pid 1 \(z\)$/u),
      'q quits',
    ])
    expect(frame(view(5), { rows: 5, columns: 40 }, false).at(-1)).toBe('2 more do not fit; q quits')
  })
})

describe('the borrowed terminal', () => {
  it('is written only where something changed, and never emptied on the way', async () => {
    const screen = new Screen(true)
    const terminal = new Terminal(new Output(screen), undefined, () => {})
    await terminal.draw(['before it is entered'])
    expect(screen.text).toBe('')
    await terminal.enter()
    await terminal.draw(['one', 'two', 'three'])
    screen.text = ''
    await terminal.draw(['one', '2', 'three'])
    expect(screen.text).toBe('\u001b[?2026h\u001b[2;1H2\u001b[K\u001b[?2026l')
    screen.text = ''
    await terminal.draw(['one', '2', 'three'])
    expect(screen.text).toBe('')
    await terminal.draw(['one'])
    expect(screen.text).toBe('\u001b[?2026h\u001b[2;1H\u001b[K\u001b[3;1H\u001b[K\u001b[?2026l')
    screen.text = ''
    await terminal.leave()
    await terminal.leave()
    await terminal.draw(['after it is left'])
    expect(screen.text).toBe('\u001b[?7h\u001b[?25h\u001b[?1049l')
  })
})
