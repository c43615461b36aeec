import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StateStoreError } from '#src/errors.js'
import { decodeState, encodeState } from '#src/state/codec.js'
import { FIELDS } from '#src/state/fields.js'
import type { SandboxState } from '#src/state/sandbox-state.js'
import { decodeWrittenForm } from '#src/state/written-form.js'
import { effort } from '../support/effort.js'
import { codeOf, decodedState, withMistakes } from './support.js'

const written = decodedState.map(encodeState)

/** What decoding gives, with the order of the fields, or the code that it throws. */
function outcome(input: string | Uint8Array): string {
  try {
    return JSON.stringify(decodeState(input))
  } catch (error) {
    if (error instanceof StateStoreError) return error.code
    throw error
  }
}

describe('a state in its written form', () => {
  it('is taken apart without reading it as JSON', () => {
    const state = {
      state: 'paused' as const,
      blockIndex: -12,
      guestMemoryBlockSize: 4_294_967_295,
      guestMemoryHotplugProbe: true,
      cgroupPath: "/kata/a b!#$%'()*+,-.:;=?@[]^_`{|}~",
      persistVersion: 0,
    } satisfies SandboxState
    for (const given of [state, { ...state, cgroupPath: '' }]) {
      const text = encodeState(given)
      expect(decodeWrittenForm(text)).toStrictEqual(given)
      const kata = FIELDS.filter(({ written }) => written !== 'if present')
      expect(Object.keys(given)).toEqual(kata.map(({ name }) => name))
    }
  })

  it('gives what it gives in any other form, mistakes included', () => {
    fc.assert(
      fc.property(fc.oneof(written, withMistakes(written)), text => {
        const general = outcome(`${text} `)
        expect(outcome(text)).toBe(general)
        expect(outcome(new TextEncoder().encode(text))).toBe(general)
      }),
      { numRuns: effort(200, 2_000) },
    )
  })

  it.each([
    ['a leading zero', { blockIndex: '01' }],
    ['-0 for an unsigned integer', { guestMemoryBlockSize: '-0' }],
    ['an integer beyond 2^53 - 1', { blockIndex: '9007199254740992' }],
    ['an integer beyond 2^32 - 1', { guestMemoryBlockSize: '4294967296' }],
    ['a state that is none', { state: '"halted"' }],
    ['a control character in a string', { cgroupPath: '"\n"' }],
  ])('is not taken where the text has %s', (_, change) => {
    const fields = {
      state: '"ready"',
      blockIndex: '0',
      guestMemoryBlockSize: '0',
      guestMemoryHotplugProbe: 'true',
    }
    const members = Object.entries({ ...fields, ...change }).map(([key, json]) => `"${key}":${json}`)
    const text = `{${members.join()}}`
    expect(decodeWrittenForm(text)).toBeUndefined()
    expect(codeOf(() => decodeState(text))).toMatch(/^(INVALID|CORRUPT)_STATE$/)
  })

  it('is the whole text: nothing may stand before or after it', () => {
    const text = encodeState(decodeState('{"state":"ready"}'))
    for (const longer of [`${text}x`, `${text}${text}`, `x${text}`, `\0${text}`]) {
      expect(decodeWrittenForm(longer)).toBeUndefined()
      expect(codeOf(() => decodeState(longer))).toBe('CORRUPT_STATE')
    }
  })

  it('is a part of a larger buffer that is taken alone', () => {
    const text = encodeState({ ...decodeState('{"state":"ready"}'), cgroupPath: '/a' })
    const buffer = new TextEncoder().encode(`xx${text}xx`)
    expect(decodeState(buffer.subarray(2, -2)).cgroupPath).toBe('/a')
  })
})
