import fc from 'fast-check'
import { SandboxState as Schema } from 'sandbox-state/schemas'
import { describe, expect, it } from 'vitest'
import { decodeState, encodeState } from '#src/state/codec.js'
import type { SandboxState } from '#src/state/sandbox-state.js'
import { newState, validState } from '#src/state/validate.js'
import { effort } from '../support/effort.js'
import { anyText, codeOf, decodedState, stateError } from './support.js'

const FIELDS = [
  'state',
  'blockIndex',
  'guestMemoryBlockSize',
  'guestMemoryHotplugProbe',
  'cgroupPath',
  'persistVersion',
] as const

const READY: SandboxState = {
  state: 'ready',
  blockIndex: 1,
  guestMemoryBlockSize: 2,
  guestMemoryHotplugProbe: true,
  cgroupPath: '/x',
  persistVersion: 3,
}

const EDGES = [0, -0, 1, -1, 0.5, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 53) + 1, -(2 ** 53)]

const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...EDGES, Number.NaN, Number.POSITIVE_INFINITY, 1n, Symbol('x'), undefined, null),
  fc.constantFrom(
    '',
    '0',
    'ready',
    'stopped',
    'Ready',
    new String('ready'),
    new Number(1),
    new Boolean(true),
  ),
  fc.boolean(),
  anyText,
  fc.anything(),
)

describe('the schema, validState and the codec', () => {
  it('accept the same values in a state of a program', () => {
    const runs = effort(500, 5000)
    let accepted = 0
    fc.assert(
      fc.property(fc.constantFrom(...FIELDS, 'other', '__proto__'), anyValue, (field, value) => {
        const state = { ...READY }
        Object.defineProperty(state, field, { value, enumerable: true })
        const result = Schema.safeParse(state)
        expect(codeOf(() => encodeState(state))).toBe(result.success ? undefined : 'INVALID_STATE')
        expect(codeOf(() => validState(state))).toBe(result.success ? undefined : 'INVALID_STATE')
        if (!result.success) return
        accepted += 1
        expect(decodeState(encodeState(state))).toEqual({ ...result.data, persistVersion: 0 })
      }),
      { numRuns: runs },
    )
    expect(accepted).toBeGreaterThan(runs / 50)
  })

  it('accept the same values in a file, but that null in a file is no value', () => {
    const jsonValue = fc.oneof(fc.constantFrom(...EDGES, 'ready'), fc.boolean(), fc.jsonValue(), anyText)
    fc.assert(
      fc.property(fc.constantFrom(...FIELDS.slice(0, 5)), jsonValue, (field, value) => {
        fc.pre(value !== null && !(typeof value === 'number' && /[.e]/.test(JSON.stringify(value))))
        const file = JSON.stringify({ ...READY, [field]: value })
        const result = Schema.safeParse({ ...READY, [field]: value, persistVersion: 0 })
        if (result.success) expect(decodeState(file)).toEqual(result.data)
        else expect(codeOf(() => decodeState(file))).toBe('INVALID_STATE')
      }),
      { numRuns: effort(300, 3000) },
    )
  })

  it.each([null, undefined, 'ready', 7, [], [READY], () => READY])('take no %o for a state', value => {
    const error = stateError(() => validState(value))
    expect(error.code).toBe('INVALID_STATE')
    expect(error.message).toMatch(/^expected an object with the fields of a sandbox state, found /)
    expect(stateError(() => encodeState(value as unknown as SandboxState))).toEqual(error)
  })

  it('say the same of what they refuse', () => {
    fc.assert(
      fc.property(fc.constantFrom(...FIELDS, 'other'), anyValue, (field, value) => {
        const state = { ...READY, [field]: value } as SandboxState
        fc.pre(codeOf(() => encodeState(state)) !== undefined)
        const { message } = stateError(() => encodeState(state))
        expect(stateError(() => validState(state)).message).toBe(message)
        expect(message).toContain(field)
      }),
    )
  })
})

describe('validState', () => {
  it('gives a valid state back, as a copy with its fields in the order of Kata', () => {
    fc.assert(
      fc.property(decodedState, state => {
        const backwards = Object.fromEntries(Object.entries(state).reverse())
        const result = validState(backwards)
        expect(result).toEqual(state)
        expect(result).not.toBe(backwards)
        expect(Object.keys(result)).toEqual(FIELDS)
      }),
    )
  })

  it('repairs only what JSON cannot say', () => {
    const result = validState({ ...READY, cgroupPath: 'a\udc00', blockIndex: -0, persistVersion: -0 })
    expect(result).toStrictEqual({ ...READY, cgroupPath: 'a\ufffd', blockIndex: 0, persistVersion: 0 })
  })

  it('adds what a file does not hold', () => {
    const { cgroupPath: _, persistVersion: __, ...written } = READY
    expect(validState(written)).toEqual({ ...READY, cgroupPath: '', persistVersion: 0 })
  })

  it('names the field and its value', () => {
    const error = stateError(() => validState({ ...READY, blockIndex: '\u001b7' }))
    expect(error.message).toBe('blockIndex must be an integer from -(2^53 - 1) to 2^53 - 1, found "\\u001b7"')
    expect(stateError(() => validState({ ...READY, typo: 1 })).message).toBe('unknown field "typo"')
    expect(stateError(() => validState(null)).message).toBe(
      'expected an object with the fields of a sandbox state, found null',
    )
  })
})

describe('newState', () => {
  const zero = {
    state: 'ready',
    blockIndex: 0,
    guestMemoryBlockSize: 0,
    guestMemoryHotplugProbe: false,
    cgroupPath: '',
    persistVersion: 0,
  }

  it('completes the fields with zero values', () => {
    expect(newState(undefined)).toEqual(zero)
    expect(newState({})).toEqual(zero)
    expect(newState({ blockIndex: undefined, cgroupPath: '/x' })).toEqual({
      ...zero,
      cgroupPath: '/x',
    })
  })

  it('accepts for each field what the schema accepts, and undefined', () => {
    fc.assert(
      fc.property(fc.constantFrom(...FIELDS.slice(1), 'other'), anyValue, (field, value) => {
        const { success, data } = Schema.safeParse({ ...zero, [field]: value ?? Object(zero)[field] })
        fc.pre(value !== null)
        if (success) expect(newState({ [field]: value })).toStrictEqual(data)
        else expect(codeOf(() => newState({ [field]: value }))).toBe('INVALID_STATE')
      }),
      { numRuns: effort(300, 3000) },
    )
  })

  it('takes fields that the given object inherits', () => {
    expect(newState(Object.create({ blockIndex: 7 }))).toStrictEqual({ ...zero, blockIndex: 7 })
  })

  it('keeps what it is given', () => {
    const { state: _, ...fields } = READY
    expect(newState(fields)).toEqual(READY)
  })

  it.each([
    [{ state: 'running' }, 'unknown field "state"'],
    [{ blockIndex: 1.5 }, 'blockIndex must be an integer from -(2^53 - 1) to 2^53 - 1, found 1.5'],
    [{ guestMemoryBlockSize: -1 }, 'guestMemoryBlockSize must be an integer from 0 to 2^32 - 1, found -1'],
    [{ guestMemoryHotplugProbe: 'yes' }, 'guestMemoryHotplugProbe must be true or false, found "yes"'],
    [{ cgroupPath: null }, 'cgroupPath must be a string, found null'],
    [{ persistVersion: -1 }, 'persistVersion must be an integer from 0 to 2^53 - 1, found -1'],
    [null, 'expected an object with the fields of a sandbox state, found null'],
    [[], 'expected an object with the fields of a sandbox state, found an array'],
  ])('refuses %o', (value, message) => {
    expect(stateError(() => newState(value))).toMatchObject({ code: 'INVALID_STATE', message })
  })
})
