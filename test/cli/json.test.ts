import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { indentJson, stateJson } from '#src/cli/json.js'
import { decodeState } from '#src/state/codec.js'
import { HOSTILE, stateText, UNPRINTABLE } from './support.js'

describe('indented JSON', () => {
  it('is what JSON.stringify makes of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), value => {
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2))
      }),
    )
  })

  it('leaves every number and the order of keys as they are', () => {
    const compact = '{"b":1.000e+2,"10":123456789012345678901234567890,"2":-0}'
    expect(indentJson(compact)).toBe(
      '{\n  "b": 1.000e+2,\n  "10": 123456789012345678901234567890,\n  "2": -0\n}',
    )
  })

  it('keeps what is nested deeply on one line, or its indentation alone would fill the memory', () => {
    const depth = 9_000
    const middle = Array.from({ length: 400_000 }, () => 1).join()
    const compact = '['.repeat(depth) + middle + ']'.repeat(depth)
    const indented = indentJson(compact)
    expect(indented.length).toBeLessThan(compact.length * 1.1)
    expect(indented.replaceAll(/\s/g, '')).toBe(compact)
    expect(indented.startsWith('[\n  [\n    [')).toBe(true)
    expect(indented.endsWith('    ]\n  ]\n]')).toBe(true)
  })

  it.each([
    ['escapes', JSON.stringify('\\'.repeat(500_000))],
    ['quotes', JSON.stringify('"'.repeat(500_000))],
    ['text', JSON.stringify('a'.repeat(1_000_000))],
  ])('takes a very long string of %s', (_, text) => {
    expect(indentJson(`{"a":${text}}`)).toBe(`{\n  "a": ${text}\n}`)
  })
})

describe('the JSON of a state', () => {
  it('holds nothing that a terminal could obey, and still means the same', () => {
    const unknown = { [`key ${HOSTILE}`]: HOSTILE }
    const text = stateJson(decodeState(stateText({ cgroupPath: HOSTILE, ...unknown })))
    expect(text).not.toMatch(UNPRINTABLE)
    expect(text).not.toContain('\n')
    expect(JSON.parse(text)).toMatchObject({ cgroupPath: HOSTILE, ...unknown })
  })

  it('holds for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), cgroupPath => {
        const text = stateJson(decodeState(stateText({ cgroupPath })))
        expect(text).not.toMatch(UNPRINTABLE)
        expect(JSON.parse(text).cgroupPath ?? '').toBe(cgroupPath.toWellFormed())
      }),
    )
  })
})
