import { describe, expect, it } from 'vitest'
import { tableLines } from '#src/cli/table.js'

describe('a table', () => {
  it('aligns its columns and leaves no space at the ends of lines', () => {
    const lines = tableLines([
      ['ID', 'STATE', 'LAST'],
      ['a', 'running', ''],
      ['longer', 'ready', 'x'],
    ])
    expect(lines).toEqual(['ID      STATE    LAST', 'a       running', 'longer  ready    x'])
  })

  it('lets the last cell of a short row run on', () => {
    const lines = tableLines([
      ['a', 'b', 'c'],
      ['d', 'a long message that goes on'],
    ])
    expect(lines).toEqual(['a  b  c', 'd  a long message that goes on'])
  })

  it('puts numbers to the right', () => {
    const lines = tableLines([
      [{ text: '7', align: 'right' }, { text: 'x' }],
      [{ text: '1234', align: 'right' }, { text: 'y' }],
    ])
    expect(lines).toEqual(['   7  x', '1234  y'])
  })

  it('paints text, not the space beside it', () => {
    const rows = [
      [{ text: 'a', color: 'red' } as const, 'x'],
      ['wide', 'y'],
    ]
    expect(tableLines(rows, true)).toEqual(['\u001b[31ma\u001b[0m     x', 'wide  y'])
    expect(tableLines(rows)).toEqual(['a     x', 'wide  y'])
  })

  it('is nothing when it has no rows', () => {
    expect(tableLines([])).toEqual([])
  })
})
