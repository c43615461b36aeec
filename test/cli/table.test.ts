import { describe, expect, it } from 'vitest'
import { tableLines } from '#src/cli/table.js'

const cells = (...texts: string[]) => texts.map(text => ({ text }))

describe('a table', () => {
  it('aligns its columns and leaves no space at the ends of lines', () => {
    const lines = tableLines([
      cells('ID', 'STATE', 'LAST'),
      cells('a', 'running', ''),
      cells('longer', 'ready', 'x'),
    ])
    expect(lines).toEqual(['ID      STATE    LAST', 'a       running', 'longer  ready    x'])
  })

  it('lets the last cell of a short row run on', () => {
    const lines = tableLines([cells('a', 'b', 'c'), cells('d', 'a long message that goes on')])
    expect(lines).toEqual(['a  b  c', 'd  a long message that goes on'])
  })

  it('puts numbers to the right', () => {
    const lines = tableLines([
      [{ text: '7', align: 'right' }, { text: 'x' }],
      [{ text: '1234', align: 'right' }, { text: 'y' }],
    ])
    expect(lines).toEqual(['   7  x', '1234  y'])
  })

  it('aligns text whose characters are twice as wide', () => {
    expect(tableLines([cells('監視', 'x'), cells('a', 'y'), cells('abcde', 'z')])).toEqual([
      '監視   x',
      'a      y',
      'abcde  z',
    ])
  })

  it('paints text, not the space beside it', () => {
    const paint = (text: string) => `<${text}>`
    expect(tableLines([[{ text: 'a', paint }, { text: 'x' }], cells('wide', 'y')])).toEqual([
      '<a>     x',
      'wide  y',
    ])
  })

  it('is nothing when it has no rows', () => {
    expect(tableLines([])).toEqual([])
  })
})
