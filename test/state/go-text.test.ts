import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeHtml, foldKey, quote, textOf, unquote } from '#src/state/go-text.js'
import { effort } from '../support/effort.js'
import { anyText, goText } from './support.js'

const SHORT: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Go 1.19's rules for one character, as its documentation of json.Marshal and json.HTMLEscape gives them. */
function goCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (SHORT[character] !== undefined) return SHORT[character]
  if (code < 0x20 || '<>&\u2028\u2029'.includes(character)) return `\\u${code.toString(16).padStart(4, '0')}`
  return code >= 0xd800 && code <= 0xdfff ? '\ufffd' : character
}

describe('quote', () => {
  it('writes every character as Go does', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(quote(text)).toBe(`"${Array.from(text, goCharacter).join('')}"`)
      }),
    )
  })

  it('writes each UTF-16 unit by itself as Go does', () => {
    const units = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code))
    expect(units.filter(unit => quote(unit) !== `"${goCharacter(unit)}"`)).toEqual([])
  })

  it('gives the control characters no other short forms than Go 1.19', () => {
    expect(quote('\b\f\n\r\t\0\u001f\u007f')).toBe('"\\u0008\\u000c\\n\\r\\t\\u0000\\u001f\u007f"')
  })

  it('is undone by unquote', () => {
    fc.assert(
      fc.property(goText, text => {
        expect(unquote(quote(text))).toBe(text)
      }),
    )
  })
})

describe('unquote', () => {
  it('reads what JSON.stringify writes, with U+FFFD for each lone surrogate', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(unquote(JSON.stringify(text))).toBe(text.toWellFormed())
      }),
    )
  })

  it.each([
    ['"\\ud83d\\ude80"', '🚀'],
    ['"\\ud83d"', '\ufffd'],
    ['"\\ude80\\ud83d"', '\ufffd\ufffd'],
    ['"\\ud83d\\ud83d\\ude80"', '\ufffd🚀'],
    ['"\\ud83d\\u0041"', '\ufffdA'],
    ['"\\/"', '/'],
  ])('reads %s', (json, text) => {
    expect(unquote(json)).toBe(text)
  })
})

describe('escapeHtml', () => {
  it('escapes five characters, and nothing else', () => {
    expect(escapeHtml('"<>&\u2028\u2029\u001b\\u003cé"')).toBe(
      '"\\u003c\\u003e\\u0026\\u2028\\u2029\u001b\\u003cé"',
    )
  })
})

describe('foldKey', () => {
  it.each([
    ['ſtate', 'state'],
    ['STATE', 'state'],
    ['bloc\u212aIndex', 'blockindex'],
    ['BLOC\u212aINDEX', 'blockindex'],
  ])('folds %s', (key, folded) => {
    expect(foldKey(key)).toBe(folded)
  })

  it('folds no other character into ASCII', () => {
    const intoAscii: string[] = []
    for (let code = 0x80; code <= 0x10ffff; code++) {
      const folded = foldKey(String.fromCodePoint(code))
      if (/^[\0-\u007f]+$/.test(folded)) intoAscii.push(String.fromCodePoint(code))
    }
    expect(intoAscii).toEqual(['\u017f', '\u212a'])
  })
})

/** Go's rule in its plainest form: the one character that begins here, or U+FFFD for one byte. */
function slowTextOf(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find(
      n => at + n <= bytes.length && isCharacter(decoder, bytes.slice(at, at + n)),
    )
    text += length === undefined ? '\ufffd' : decoder.decode(bytes.slice(at, at + length))
    at += length ?? 1
  }
  return text
}

function isCharacter(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): boolean {
  try {
    return Array.from(decoder.decode(bytes)).length === 1
  } catch {
    return false
  }
}

// The bytes at which the rules of UTF-8 change.
const edgeByte = fc.constantFrom(
  ...[
    0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
    0xef,
  ],
  ...[0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff],
)

describe('textOf', () => {
  it('reads any bytes as Go does', () => {
    fc.assert(
      fc.property(fc.array(edgeByte, { maxLength: 12 }), bytes => {
        expect(textOf(Uint8Array.from(bytes))).toBe(slowTextOf(Uint8Array.from(bytes)))
      }),
      { numRuns: effort(300, 3000) },
    )
  })

  it('reads text back', () => {
    fc.assert(
      fc.property(goText, text => {
        expect(textOf(new TextEncoder().encode(text))).toBe(text)
      }),
    )
  })

  it.each([
    ['a character that is cut short', [0x61, 0xe2, 0x82, 0x62], 'a\ufffd\ufffdb'],
    ['a surrogate', [0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd'],
    ['an overlong form', [0xc0, 0xaf], '\ufffd\ufffd'],
    ['a character above the last', [0xf4, 0x90, 0x80, 0x80], '\ufffd\ufffd\ufffd\ufffd'],
    ['a BOM, which stays', [0xef, 0xbb, 0xbf, 0x7b], '\ufeff{'],
  ])('reads %s', (_, bytes, text) => {
    expect(textOf(Uint8Array.from(bytes))).toBe(text)
  })

  it('reads just the given part of a larger buffer', () => {
    expect(textOf(Buffer.from('xxünïyy').subarray(2, -2))).toBe('ünï')
    expect(textOf(Uint8Array.from([0x78, 0xff, 0x61, 0xff, 0x78]).subarray(1, 4))).toBe('\ufffda\ufffd')
  })

  it('reads a detached buffer as empty', () => {
    const bytes = Uint8Array.from([0x7b, 0x7d])
    structuredClone(bytes, { transfer: [bytes.buffer] })
    expect(textOf(bytes)).toBe('')
  })

  it('takes linear time: to look at a megabyte again for each byte that is not UTF-8 would take minutes', () => {
    expect(textOf(new Uint8Array(1024 * 1024).fill(0xe2))).toHaveLength(1024 * 1024)
  })
})
