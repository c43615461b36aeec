import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compact, isMemberValue, MAX_DEPTH, objectMembers } from '#src/state/go-json.js'
import { codeOf, nearlyJson, stateError } from './support.js'

/** What JSON.parse, which has the same grammar, makes of a text; undefined when it refuses. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObjectOrNull(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value)
}

const white = fc.constantFrom('', ' ', '\n\t', '\r\n  ')

describe('objectMembers', () => {
  it('accepts a text just when JSON.parse makes an object or null of it', () => {
    let accepted = 0
    fc.assert(
      fc.property(nearlyJson, text => {
        const code = codeOf(() => objectMembers(text))
        expect(code).toBe(isObjectOrNull(parsed(text)) ? undefined : 'CORRUPT_STATE')
        if (code === undefined) accepted += 1
      }),
      { numRuns: 5000 },
    )
    expect(accepted).toBeGreaterThan(500)
  })

  it('gives every member in its order, duplicates too, as it stands in the text', () => {
    const member = fc.tuple(fc.constantFrom('a', 'b', '__proto__', ''), fc.json({ maxDepth: 2 }), white)
    fc.assert(
      fc.property(fc.array(member), white, (members, outer) => {
        const body = members.map(([key, json, space]) => `${space}"${key}"${space}:${json}${space}`)
        const found = objectMembers(`${outer}{${body.join(',')}}${outer}`)
        expect(found.map(({ key, json }) => [key, json])).toEqual(
          members.map(([key, json]) => [key, json.trim()]),
        )
      }),
    )
  })

  it('takes every escape that JSON has, hexadecimal digits in either case', () => {
    const json = String.raw`"\"\\\/\b\f\n\r\t\u09af\u09AF"`
    expect(objectMembers(`{"a":${json}}`)).toEqual([{ key: 'a', json }])
  })

  it('takes null for an object without members', () => {
    expect(objectMembers(' null ')).toEqual([])
    expect(codeOf(() => objectMembers('null{}'))).toBe('CORRUPT_STATE')
  })

  it.each([
    '',
    '[]',
    '{"a":1} x',
    '{"a":01}',
    '{"a":"\\u00',
    '{"a":"\u0000"}',
    '{"a":"\u001f"}',
    '{"a":"\\x"}',
    '{"a":"\\',
    '{"a":"b',
    '{"a":1.}',
    '{"a" 1}',
    '{"a":[{"b":nul]}',
    '{"a":[1,]}',
    '\ufeff{}',
    '\u202e{}',
  ])('says what is wrong with %j, with nothing that a terminal could obey', text => {
    const { code, message } = stateError(() => objectMembers(text))
    expect(code).toBe('CORRUPT_STATE')
    expect(message).toMatch(/^not a JSON object: [^\p{Cc}\p{Cf}]{10,120}$/u)
  })

  it.each(['[', '{"a":'])('allows just the depth that Go allows of %s', open => {
    const nested = (depth: number) =>
      `{"x":${open.repeat(depth - 1)}0${(open === '[' ? ']' : '}').repeat(depth - 1)}}`
    expect(MAX_DEPTH).toBe(10_000)
    expect(objectMembers(nested(10_000))).toHaveLength(1)
    expect(stateError(() => objectMembers(nested(10_001))).message).toBe(
      'not a JSON object: it is nested too deeply',
    )
  })

  it.each(['[', '{"a":', '[{"a":'])('does not exhaust the stack with a million of %s', open => {
    expect(codeOf(() => objectMembers(`{"x":${open.repeat(1e6)}`))).toBe('CORRUPT_STATE')
  })

  it('takes linear time: to look at a megabyte again for each of its members would take minutes', () => {
    const members = Array.from({ length: 100_000 }, (_, i) => `"${i}":["\\n"]`)
    expect(objectMembers(`{${members.join()}}`)).toHaveLength(100_000)
    expect(objectMembers(`{"x":[${members.map(member => `{${member}}`).join()}]}`)).toHaveLength(1)
  })
})

describe('isMemberValue', () => {
  it.each(['1', '"a"', '[1, 2]', '{"a":{}}', 'null', '-0.5e-7'])('takes %s', text => {
    expect(isMemberValue(text)).toBe(true)
  })

  it.each(['', ' 1', '1 ', '1,2', '1}', '[1', '"a', 'nul', '1,"state":"dead"'])('refuses %j', text => {
    expect(isMemberValue(text)).toBe(false)
  })

  it('takes what fits into an object without passing the depth limit', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(isMemberValue(nested(MAX_DEPTH - 1))).toBe(true)
    expect(isMemberValue(nested(MAX_DEPTH))).toBe(false)
  })
})

describe('compact', () => {
  it('removes white space outside of strings, and only there', () => {
    fc.assert(
      fc.property(fc.jsonValue(), white, (value, indent) => {
        const escaped = JSON.stringify(value)
          .replaceAll('<', '\\u003c')
          .replaceAll('>', '\\u003e')
          .replaceAll('&', '\\u0026')
        expect(compact(JSON.stringify(value, null, indent))).toBe(escaped)
      }),
    )
    expect(compact('[ "a b\\" c" ,\t1.0 ]')).toBe('["a b\\" c",1.0]')
    for (const space of ' \t\r\n') expect(compact(`[${space}1]`)).toBe('[1]')
  })

  it('escapes what Go escapes for HTML', () => {
    expect(compact('{"<k>":"a&b\u2028\u2029"}')).toBe('{"\\u003ck\\u003e":"a\\u0026b\\u2028\\u2029"}')
  })
})
