import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeState, encodeState } from '#src/state/codec.js'
import { compact, objectMembers } from '#src/state/go-json.js'
import { checkLabels, type Labels } from '#src/state/labels.js'
import { stateError } from './support.js'
import { decodeVectors } from './vectors.js'

// The keys `labels` and `data` of a file, which Kata or a person may have used before this package did.

const KATA = '"state":"ready","blockIndex":1,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false'

/** A file with these members after Kata's. */
function file(...members: string[]): string {
  return `{${[KATA, ...members].join(',')}}`
}

/** What is in the file after a change of another field. */
function changed(text: string): string {
  const next = { ...decodeState(text), blockIndex: 2 }
  const written = encodeState(next)
  expect(encodeState(decodeState(written))).toBe(written)
  return written.replace('"blockIndex":2', '"blockIndex":1')
}

const ODD_LABELS = [
  'null',
  '0',
  '"a=b"',
  'true',
  '["a"]',
  '{"a":1}',
  '{"a":null}',
  '{"a":{"b":"c"}}',
  '{"":"x"}',
  '{"-a":"x"}',
  '{"__proto__":"x"}',
  `{"a":"${'x'.repeat(257)}"}`,
  `{"${'a'.repeat(64)}":"x"}`,
  `{${Array.from({ length: 65 }, (_, i) => `"l${i}":""`).join()}}`,
  '[12345678901234567890,1.0,1e400,-0]',
]

const ODD_DATA = [
  'null',
  '-0',
  '1.0',
  '1e400',
  '-1e-400',
  '12345678901234567890',
  '0.1e+1',
  '{"a":1,"a":2}',
  '{"__proto__":{"polluted":1},"constructor":2}',
  '{"10":1,"9":2,"b":3,"a":4}',
  '"\\u003c\\u0041\\/\\ud800"',
  '[[],{},"",[{"":[1e400,{"a":12345678901234567890}]}]]',
  '['.repeat(1_000) + ']'.repeat(1_000),
]

const DEEP = '[1.0,'.repeat(1_001) + '0'.concat(']'.repeat(1_001))

describe('labels that are not labels', () => {
  test.each(ODD_LABELS)('stay as they are, and are no labels: %s', json => {
    const text = file(`"labels":${json}`)
    expect(decodeState(text)).not.toHaveProperty('labels')
    expect(changed(text)).toBe(text)
  })

  test.each(ODD_LABELS)('are not overwritten: %s', json => {
    const state = decodeState(file(`"labels":${json}`))
    expect(stateError(() => encodeState({ ...state, labels: { a: 'b' } }))).toMatchObject({
      code: 'INVALID_STATE',
      message: 'labels cannot be set: the file has another key of that name',
    })
  })
})

describe('data that nobody changes', () => {
  test.each(ODD_DATA)('stays as it is: %s', json => {
    const text = file(`"data":${json}`)
    expect(decodeState(text)).toHaveProperty('data')
    expect(changed(text)).toBe(text)
    // Also where a program has made its state anew from what it has seen.
    const { data } = decodeState(text)
    expect(encodeState({ ...decodeState(text), data: structuredClone(data) })).toBe(text)
  })

  test('goes when another takes its place, and when it is taken away', () => {
    const { data: _, ...rest } = decodeState(file('"data":1.0'))
    expect(encodeState({ ...rest, data: 2 })).toBe(file('"data":2'))
    expect(encodeState(rest)).toBe(file())
  })

  test('is no data when it is nested too deeply, stays as it is, and is not overwritten', () => {
    const text = file(`"data":${DEEP}`)
    const state = decodeState(text)
    expect(state).not.toHaveProperty('data')
    expect(changed(text)).toBe(text)
    expect(stateError(() => encodeState({ ...state, data: 1 }))).toMatchObject({
      message: 'data cannot be set: the file has another key of that name',
    })
  })
})

test('Go decodes a state that has other keys as if it had not', () => {
  const recorded = decodeVectors.find(({ input }) => input.includes('"unknown":{"deep":'))
  expect(recorded).toMatchObject({ accepted: true, valid: true, state: { state: 'ready', blockIndex: 0 } })
})

test('a key in another case is another key', () => {
  const text = file('"Labels":{"a":"b"}', '"LABELS":5', '"Data":1.0', '"DATA":[1e400]')
  const state = decodeState(text)
  expect(Object.keys(state)).not.toContain('labels')
  expect(Object.keys(state)).not.toContain('data')
  expect(changed(text)).toBe(text)
  const both = encodeState({ ...state, labels: { c: 'd' }, data: 2 })
  expect(both).toBe(file('"labels":{"c":"d"}', '"data":2', text.slice(file().length, -1)))
})

test('the last value of a key that comes more than once counts', () => {
  const text = file('"labels":5', '"data":1.0', '"labels":{"b":"2","a":"0","a":"1"}', '"data":2.0')
  expect(decodeState(text)).toMatchObject({ labels: { a: '1', b: '2' }, data: 2 })
  expect(changed(text)).toBe(file('"labels":{"a":"1","b":"2"}', '"data":2.0'))
})

test('nothing under these names is lost, whatever it is', () => {
  const key = fc.constantFrom('labels', 'data', 'Labels', 'DATA', 'other', 'lab\u0131els')
  const json = fc.oneof(
    fc.json(),
    fc.constantFrom(...ODD_DATA, ...ODD_LABELS, DEEP),
    fc
      .dictionary(fc.string({ maxLength: 4 }), fc.string({ maxLength: 4 }))
      .map(value => JSON.stringify(value)),
  )
  const members = fc.uniqueArray(fc.tuple(key, json), { selector: ([name]) => name })
  fc.assert(
    fc.property(members, entries => {
      const text = file(...entries.map(([name, value]) => `"${name}":${value}`))
      const written = new Map(objectMembers(changed(text)).map(({ key, json }) => [key, json]))
      for (const [name, value] of entries) {
        const labels = name === 'labels' ? checkLabels(JSON.parse(value)) : undefined
        if (labels === undefined) expect(written.get(name)).toBe(compact(value))
        else expect(JSON.parse(written.get(name) ?? '{}')).toEqual(labels satisfies Labels)
      }
    }),
  )
})
