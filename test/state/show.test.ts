import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quoted, show, visible, word } from '#src/state/show.js'
import { anyText } from './support.js'

const RAW = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u

describe('text in messages', () => {
  it('has nothing raw in it that a terminal could obey, and is short', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(quoted(text)).not.toMatch(RAW)
        expect(word(text)).not.toMatch(RAW)
      }),
    )
    expect(quoted('\u0085'.repeat(1000)).length).toBeLessThan(400)
  })

  it('shows what could be obeyed or not be seen as escapes where it stands without quotes, too', () => {
    expect(visible('a"\n\u001b\u202e\ud83d🚀é')).toBe('a"\\u000a\\u001b\\u202e\\ud83d🚀é')
  })

  it('cannot be confused with anything else', () => {
    fc.assert(
      fc.property(anyText, text => {
        fc.pre(text.length <= 60)
        expect(JSON.parse(quoted(text))).toBe(text)
      }),
    )
  })

  it('is cut after 60 characters', () => {
    expect(quoted('x'.repeat(60))).toBe(`"${'x'.repeat(60)}"`)
    expect(quoted('x'.repeat(61))).toBe(`"${'x'.repeat(60)}…"`)
    expect(word('x'.repeat(60))).toBe('x'.repeat(60))
    expect(word('x'.repeat(61))).toBe(`"${'x'.repeat(60)}…"`)
  })

  it('escapes what is invisible beyond the basic plane', () => {
    expect(quoted('a\u{e0001}b')).toBe('"a\\udb40\\udc01b"')
  })

  it('stands without quotes when it is a plain word', () => {
    expect([word('ready'), word('1.5e+3'), word('a b'), word('')]).toEqual(['ready', '1.5e+3', '"a b"', '""'])
  })
})

describe('show', () => {
  it.each([
    ['1', '"1"'],
    [1, '1'],
    [-0, '0'],
    [Number.NaN, 'NaN'],
    [10n, '10n'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [[1], 'an array'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [() => 1, 'a function'],
    [Symbol('\u001b'), '"Symbol(\\u001b)"'],
  ])('shows %o as %s', (value, text) => {
    expect(show(value)).toBe(text)
  })
})
