import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeState, encodeState, isForeignSchema } from '#src/state/codec.js'
import { quote } from '#src/state/go-text.js'
import { isValidState } from '#src/state/machine.js'
import type { SandboxState } from '#src/state/sandbox-state.js'
import { MAX_STATE_BYTES } from '#src/state/sandbox-state.js'
import { anyText, codeOf, decodedState, nearlyJson, stateError } from './support.js'
import { decodeVectors, encodeVectors, type Fields } from './vectors.js'

const REAL =
  '{"state":"running","blockIndex":3,"guestMemoryBlockSize":128,"guestMemoryHotplugProbe":true,"cgroupPath":"/kata/ü🚀\\u003c"}'

const bytesOf = (text: string) => new TextEncoder().encode(text)

describe('encodeState', () => {
  it('writes the bytes of Go for every vector', () => {
    expect(encodeVectors).toHaveLength(532)
    for (const { in: fields, bytes } of encodeVectors) {
      const { state } = fields
      if (!isValidState(state)) throw new Error('the vectors hold valid states only')
      expect(encodeState({ ...fields, state })).toBe(bytes)
    }
  })

  it('writes what decodeState reads back', () => {
    fc.assert(
      fc.property(decodedState, state => {
        expect(decodeState(encodeState(state))).toEqual(state)
      }),
    )
  })

  it('never writes persistVersion, -0 or a lone surrogate', () => {
    const state: SandboxState = {
      persistVersion: 2,
      cgroupPath: 'a\ud83d',
      guestMemoryHotplugProbe: false,
      guestMemoryBlockSize: -0,
      blockIndex: -0,
      state: 'ready',
    }
    expect(encodeState(state)).toBe(
      '{"state":"ready","blockIndex":0,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false,"cgroupPath":"a\ufffd"}',
    )
  })

  it('needs no field that it does not write', () => {
    const state = JSON.parse(
      '{"state":"ready","blockIndex":0,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false}',
    )
    expect(encodeState(state)).toBe(JSON.stringify(state))
  })

  it.each([
    ['state', 'Ready'],
    ['state', 'ready"'],
    ['state', undefined],
    ['blockIndex', 1.5],
    ['blockIndex', 2 ** 53],
    ['blockIndex', '1'],
    ['blockIndex', 1n],
    ['blockIndex', undefined],
    ['guestMemoryBlockSize', -1],
    ['guestMemoryBlockSize', 2 ** 32],
    ['guestMemoryBlockSize', Number.NaN],
    ['guestMemoryHotplugProbe', 1],
    ['guestMemoryHotplugProbe', null],
    ['cgroupPath', null],
    ['cgroupPath', ['/']],
    ['persistVersion', -1],
    ['persistVersion', 0.5],
  ])('refuses %s of %o', (field, value) => {
    const error = stateError(() => encodeState({ ...decodeState(REAL), [field]: value }))
    expect(error.code).toBe('INVALID_STATE')
    expect(error.message).toMatch(new RegExp(`^${field} must be .+, found .+$`))
  })

  it.each([null, undefined, 'ready', 1, [], () => 1])('refuses %o in place of a state', value => {
    expect(codeOf(() => encodeState(value as unknown as SandboxState))).toBe('INVALID_STATE')
  })

  it('refuses a field that it would have to drop', () => {
    const misspelt = { ...decodeState(REAL), blockindex: 4 }
    expect(stateError(() => encodeState(misspelt)).message).toBe('unknown field "blockindex"')
    expect(codeOf(() => encodeState(JSON.parse(`{"__proto__":1,${REAL.slice(1)}`)))).toBe('INVALID_STATE')
  })

  it('refuses a state that would be too large to read back', () => {
    const state = decodeState('{"state":"ready"}')
    const fixed = encodeState({ ...state, cgroupPath: 'x' }).length - 1
    const fits = encodeState({ ...state, cgroupPath: 'x'.repeat(MAX_STATE_BYTES - fixed) })
    expect(decodeState(fits).cgroupPath).toHaveLength(MAX_STATE_BYTES - fixed)
    expect(codeOf(() => encodeState({ ...state, cgroupPath: 'x'.repeat(MAX_STATE_BYTES - fixed + 1) }))).toBe(
      'INVALID_STATE',
    )
    // Characters of two bytes each, and of three.
    for (const character of ['ü', '€']) {
      const cgroupPath = character.repeat(MAX_STATE_BYTES / Buffer.byteLength(character))
      expect(codeOf(() => encodeState({ ...state, cgroupPath }))).toBe('INVALID_STATE')
    }
  })
})

describe('decodeState and Go', () => {
  it('agree on every vector, as text and as bytes', () => {
    expect(decodeVectors).toHaveLength(512)
    for (const { input, accepted, valid, state } of decodeVectors) {
      for (const given of [input, bytesOf(input)]) {
        if (accepted && valid) {
          // Object.entries leaves out the unknown keys, which Go drops.
          const fields = Object.fromEntries(Object.entries(decodeState(given)))
          expect(fields, input).toStrictEqual({ ...state, persistVersion: 0 })
        } else {
          expect(
            codeOf(() => decodeState(given)),
            input,
          ).toMatch(/^(CORRUPT|INVALID)_STATE$/)
        }
      }
    }
  })

  it('agree that a text which Go decodes, to no valid state, is INVALID_STATE', () => {
    const decodable = decodeVectors.filter(({ accepted, valid }) => accepted && !valid)
    expect(decodable.length).toBeGreaterThan(50)
    for (const { input } of decodable)
      expect(
        codeOf(() => decodeState(input)),
        input,
      ).toBe('INVALID_STATE')
  })

  it('give the same bytes back', () => {
    for (const { bytes } of encodeVectors) {
      expect(encodeState(decodeState(bytes))).toBe(bytes)
      expect(encodeState(decodeState(bytesOf(bytes)))).toBe(bytes)
    }
  })
})

describe('decodeState', () => {
  it('gives the fields in the order of Kata', () => {
    const backwards = '{"cgroupPath":"/x","blockIndex":1,"state":"ready"}'
    expect(Object.entries(decodeState(backwards))).toEqual([
      ['state', 'ready'],
      ['blockIndex', 1],
      ['guestMemoryBlockSize', 0],
      ['guestMemoryHotplugProbe', false],
      ['cgroupPath', '/x'],
      ['persistVersion', 0],
    ])
  })

  it('does as a plain model of Go does, for any members in any order and case', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), members => {
        const text = `{${members.map(([key, json]) => `${quote(key)} : ${json}`).join(' ,\n')}}`
        const expected = model(members)
        if (expected === undefined) expect(codeOf(() => decodeState(text))).toBe('INVALID_STATE')
        else {
          expect(decodeState(text)).toMatchObject({ ...expected, persistVersion: 0 })
          accepted += 1
        }
      }),
      { numRuns: 5000 },
    )
    expect(accepted).toBeGreaterThan(500)
  })

  it.each([
    ['"\\u017ftate":"paused"', { state: 'paused' }],
    ['"ſTATE":"paused"', { state: 'paused' }],
    ['"bloc\u212aIndex":7', { blockIndex: 7 }],
    ['"gue\u017ftMemoryBloc\u212aSize":7', { guestMemoryBlockSize: 7 }],
    ['"CGROUPPATH":"/y"', { cgroupPath: '/y' }],
    ['"blockIndex":-0', { blockIndex: 0 }],
    ['"blockIndex":9007199254740991', { blockIndex: Number.MAX_SAFE_INTEGER }],
    ['"blockIndex":-9007199254740991', { blockIndex: Number.MIN_SAFE_INTEGER }],
    ['"blockIndex":5,"blockIndex":null', { blockIndex: 5 }],
    ['"state":"dead","state":"paused"', { state: 'paused' }],
    ['"persistVersion":7', { persistVersion: 0 }],
    ['"PERSI\u017fTVERSION":{}', { persistVersion: 0 }],
    ['"cgroupPath":"\\ud83d/\\ude80"', { cgroupPath: '\ufffd/\ufffd' }],
    ['"cgroupPath":"\ud83d\\ude80"', { cgroupPath: '\ufffd\ufffd' }],
    ['"cgroupPath":"\\u0000"', { cgroupPath: '\0' }],
  ])('reads %s', (members, expected) => {
    expect(decodeState(`{"state":"ready",${members}}`)).toMatchObject(expected)
  })

  it.each([
    ['"blockIndex":9007199254740992', 'blockIndex', '9007199254740992'],
    ['"blockIndex":-9007199254740992', 'blockIndex', '-9007199254740992'],
    ['"blockIndex":9007199254740991.0', 'blockIndex', '9007199254740991.0'],
    ['"blockIndex":1e2', 'blockIndex', '1e2'],
    ['"blockIndex":1E2', 'blockIndex', '1E2'],
    ['"blockIndex":1.0', 'blockIndex', '1.0'],
    ['"blockIndex":"1"', 'blockIndex', '"1"'],
    ['"blockIndex":1.5,"blockIndex":1', 'blockIndex', '1.5'],
    ['"guestMemoryBlockSize":-0', 'guestMemoryBlockSize', '-0'],
    ['"guestMemoryBlockSize":4294967296', 'guestMemoryBlockSize', '4294967296'],
    ['"guestMemoryHotplugProbe":0', 'guestMemoryHotplugProbe', '0'],
    ['"cgroupPath":[]', 'cgroupPath', 'an array'],
    ['"cgroupPath":{}', 'cgroupPath', 'an object'],
    ['"cgroupPath":true', 'cgroupPath', 'true'],
    ['"STATE":"de\\u001b[2Jad"', 'state', '"de\\u001b[2Jad"'],
    ['"state":""', 'state', '""'],
  ])('refuses %s, naming the field and the value', (members, field, found) => {
    const error = stateError(() => decodeState(`{"state":"ready",${members}}`))
    expect(error.code).toBe('INVALID_STATE')
    expect(error.message).toMatch(new RegExp(`^${field} must be `))
    expect(error.message.endsWith(`, found ${found}`)).toBe(true)
  })

  it('keeps a message short, however long the value', () => {
    const long = 'x'.repeat(100_000)
    expect(stateError(() => decodeState(`{"state":"${long}"}`)).message.length).toBeLessThan(200)
    expect(
      stateError(() => decodeState(`{"blockIndex":${'9'.repeat(100_000)}}`)).message.length,
    ).toBeLessThan(200)
  })

  it('refuses a text that is not JSON before it looks at the fields', () => {
    expect(codeOf(() => decodeState('{"state":1,"blockIndex":"x"'))).toBe('CORRUPT_STATE')
  })

  it.each(['{}', 'null', ' {"blockIndex":1}', '{"__proto__":{"state":"ready"}}'])(
    'finds no state in %s',
    text => {
      const { code, message } = stateError(() => decodeState(text))
      expect(code).toBe('INVALID_STATE')
      expect(message).toBe('state must be one of ready, running, paused, stopped, found ""')
    },
  )

  it('refuses every beginning of a real file', () => {
    const bytes = bytesOf(REAL)
    for (let length = 0; length < bytes.length; length++) {
      expect(
        codeOf(() => decodeState(bytes.subarray(0, length))),
        String(length),
      ).toBe('CORRUPT_STATE')
    }
    expect(decodeState(bytes).cgroupPath).toBe('/kata/ü🚀<')
  })

  it('reads or refuses a real file with one wrong byte, and throws nothing else', () => {
    const bytes = bytesOf(REAL)
    for (let at = 0; at < bytes.length; at++) {
      for (const byte of [0x00, 0x22, 0x5c, 0x7d, 0x80, 0xff]) {
        const damaged = bytes.with(at, byte)
        expect([undefined, 'CORRUPT_STATE', 'INVALID_STATE']).toContain(codeOf(() => decodeState(damaged)))
      }
    }
  })

  it('reads each byte that is not UTF-8 as one U+FFFD', () => {
    const [before, after] = ['{"state":"ready","cgroupPath":"/a', 'b"}'].map(bytesOf)
    const bytes = Uint8Array.from([...(before ?? []), 0xe2, 0x82, 0xff, ...(after ?? [])])
    expect(decodeState(bytes).cgroupPath).toBe('/a\ufffd\ufffd\ufffdb')
    expect(decodeState(Buffer.from(bytes)).cgroupPath).toBe('/a\ufffd\ufffd\ufffdb')
  })

  it('throws nothing but a StateStoreError for any text', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, nearlyJson), text => {
        expect([undefined, 'CORRUPT_STATE', 'INVALID_STATE']).toContain(codeOf(() => decodeState(text)))
      }),
      { numRuns: 2000 },
    )
  })

  it('throws nothing but a StateStoreError for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(REAL.length), (noise, at) => {
        const bytes = Uint8Array.from([...bytesOf(REAL.slice(0, at)), ...noise, ...bytesOf(REAL.slice(at))])
        expect([undefined, 'CORRUPT_STATE', 'INVALID_STATE']).toContain(codeOf(() => decodeState(bytes)))
        expect(codeOf(() => decodeState(noise))).toBe('CORRUPT_STATE')
      }),
    )
  })

  it.each(['[', '{"a":', '{"state":'])('refuses a million of %s', open => {
    expect(codeOf(() => decodeState(open.repeat(1e6)))).toBe('CORRUPT_STATE')
    expect(codeOf(() => decodeState(`{"state":"ready","x":${open.repeat(100_000)}`))).toBe('CORRUPT_STATE')
  })

  it('reads a file of the greatest size, and refuses one that is a byte larger', () => {
    const fill = (size: number) => {
      const [open, close] = ['{"state":"ready","cgroupPath":"', '"}']
      return `${open}${'é'.repeat((size - open.length - close.length) / 2)} ${close}`
    }
    const largest = fill(MAX_STATE_BYTES - 1)
    expect(bytesOf(largest)).toHaveLength(MAX_STATE_BYTES)
    for (const input of [largest, bytesOf(largest)]) expect(decodeState(input).state).toBe('ready')
    for (const input of [`${largest} `, bytesOf(`${largest} `), ' '.repeat(MAX_STATE_BYTES + 1)]) {
      const error = stateError(() => decodeState(input))
      expect(error).toMatchObject({
        code: 'CORRUPT_STATE',
        message: 'the state is larger than 1048576 bytes',
      })
    }
  })

  it('reads bytes of another realm, such as that of jsdom', () => {
    const foreign: Uint8Array = runInNewContext(`Uint8Array.from(${JSON.stringify([...bytesOf(REAL)])})`)
    expect(foreign).not.toBeInstanceOf(Uint8Array)
    expect(decodeState(foreign)).toEqual(decodeState(REAL))
  })

  const fake = { length: 2, [Symbol.toStringTag]: 'Uint8Array' }
  it.each([
    undefined,
    null,
    1,
    {},
    [123, 125],
    new Uint16Array(2),
    new ArrayBuffer(2),
    new DataView(new ArrayBuffer(2)),
    fake,
  ])('takes no %o', value => {
    const decode = () => decodeState(value as unknown as string)
    expect(decode).toThrow(TypeError)
    expect(decode).toThrow('a state is text or bytes')
  })
})

describe('isForeignSchema', () => {
  const rust = '{"sandbox_type":"virtcontainer","resource":[],"hypervisor":null}'

  it("knows a file of Kata's Rust runtime", () => {
    expect(isForeignSchema(rust)).toBe(true)
    expect(isForeignSchema(bytesOf(rust))).toBe(true)
  })

  it.each([
    [
      'runc',
      '{"id":"a","init_process_pid":7,"init_process_start":9,"created":"2026-01-01T00:00:00Z","config":{}}',
    ],
    ['youki', '{"ociVersion":"v1.0.2","id":"a","status":"running","pid":7,"bundle":"/b","annotations":{}}'],
  ])('knows a file of %s', (_program, text) => {
    expect(isForeignSchema(text)).toBe(true)
    expect(isForeignSchema(`{"state":"running",${text.slice(1)}`)).toBe(false)
  })

  it.each([
    REAL,
    '{}',
    'null',
    '[]',
    '',
    `${rust}x`,
    '{"Sandbox_type":1}',
    `{"State":null,${rust.slice(1)}`,
    `{"x":{"sandbox_type":1}}`,
  ])('does not take %s for one', text => {
    expect(isForeignSchema(text)).toBe(false)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, nearlyJson, fc.uint8Array()), input => {
        expect(typeof isForeignSchema(input)).toBe('boolean')
      }),
    )
    expect(isForeignSchema(undefined as unknown as string)).toBe(false)
  })
})

// A plain model of Go's decoder, for documents that are given as a list of members.

const KEYS: Record<string, (json: unknown) => boolean> = {
  state: json => typeof json === 'string',
  blockIndex: json => Number.isSafeInteger(json),
  guestMemoryBlockSize: json => Number.isSafeInteger(json) && Number(json) >= 0 && Number(json) < 2 ** 32,
  guestMemoryHotplugProbe: json => typeof json === 'boolean',
  cgroupPath: json => typeof json === 'string',
}

const key = fc
  .tuple(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...Object.keys(KEYS)) }, anyText), fc.nat(3))
  .map(([name, style]) =>
    style === 0
      ? name.toUpperCase()
      : style === 1
        ? name.replaceAll('s', 'ſ').replaceAll('k', '\u212a')
        : name,
  )

const member: fc.Arbitrary<[string, string]> = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.constant('state'), fc.constantFrom('"ready"', '"paused"')) },
  fc.tuple(key, fc.oneof(fc.constantFrom('null', '-1', '3', '4294967296', 'true', '"stopped"'), fc.json())),
)

function model(members: [string, string][]): Fields | undefined {
  const fields: Record<string, unknown> = {
    state: '',
    blockIndex: 0,
    guestMemoryBlockSize: 0,
    guestMemoryHotplugProbe: false,
    cgroupPath: '',
  }
  for (const [key, json] of members) {
    const name = Object.keys(KEYS).find(field => new RegExp(`^${field}$`, 'iu').test(key))
    const value = JSON.parse(json)
    if (name === undefined || value === null) continue
    // Go takes neither 1.0 nor 1e2 for an integer.
    if (KEYS[name]?.(value) !== true || (typeof value === 'number' && /[.eE]/.test(json))) return undefined
    fields[name] = typeof value === 'string' ? value.toWellFormed() : value === 0 ? 0 : value
  }
  return isValidState(fields.state) ? (fields as unknown as Fields) : undefined
}
