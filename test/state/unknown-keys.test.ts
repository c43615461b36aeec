import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeState, encodeState } from '#src/state/codec.js'
import { compact } from '#src/state/go-json.js'
import { quote } from '#src/state/go-text.js'
import { type SandboxState, UNKNOWN_KEYS, type UnknownKeys } from '#src/state/sandbox-state.js'
import { validState } from '#src/state/validate.js'
import { temporaryFolder } from '../support/root.js'
import { goText, stateError } from './support.js'

const KNOWN =
  '"state":"ready","blockIndex":1,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false,"cgroupPath":"/x"'

const KNOWN_KEY =
  /^(state|blockIndex|guestMemoryBlockSize|guestMemoryHotplugProbe|cgroupPath|persistVersion)$/iu

function withKeys(keys: unknown): SandboxState {
  return { ...decodeState(`{${KNOWN}}`), [UNKNOWN_KEYS]: keys as UnknownKeys }
}

describe('unknown keys', () => {
  it('survive a change in their order, after the known ones, with their values as they were', () => {
    const file =
      '{"fstype":"","state":"ready","big":12345678901234567890,"blockIndex":1,"one":1.0,"resources":{"memory":[1e400, -0]}}'
    const changed = encodeState({ ...decodeState(file), blockIndex: 2 })
    expect(changed).toBe(
      '{"state":"ready","blockIndex":2,"guestMemoryBlockSize":0,"guestMemoryHotplugProbe":false,' +
        '"fstype":"","big":12345678901234567890,"one":1.0,"resources":{"memory":[1e400,-0]}}',
    )
  })

  it('survive any number of changes, whatever they are', () => {
    const unknown = fc.uniqueArray(
      fc.tuple(
        goText.filter(key => !KNOWN_KEY.test(key)),
        fc.json(),
      ),
      { selector: ([key]) => key },
    )
    fc.assert(
      fc.property(unknown, entries => {
        const keys = entries.map(([key, json]) => `,${quote(key)}:${compact(json)}`).join('')
        const once = validState({ ...decodeState(`{${KNOWN}${keys}}`), state: 'running' })
        const twice = { ...decodeState(encodeState(once)), state: 'ready' } as const
        expect(encodeState(twice)).toBe(`{${KNOWN}${keys}}`)
      }),
    )
  })

  it('are an own symbol property, which only a spread sees', () => {
    const state = decodeState(`{${KNOWN},"pid":7}`)
    expect({ ...state }[UNKNOWN_KEYS]).toEqual([['pid', '7']])
    expect(Object.getOwnPropertySymbols(state)).toEqual([UNKNOWN_KEYS])
    expect(Object.keys(state)).toHaveLength(6)
    expect(JSON.stringify(state)).not.toContain('pid')
  })

  it('survive between two copies of this package in one program', async () => {
    const copy = temporaryFolder()
    cpSync(new URL('../../dist', import.meta.url), copy, { recursive: true })
    writeFileSync(join(copy, 'package.json'), '{"type":"module"}')
    const other = await import(join(copy, 'state', 'codec.js'))
    expect(other.encodeState).not.toBe(encodeState)
    expect(other.encodeState(decodeState(`{${KNOWN},"pid":7}`))).toBe(`{${KNOWN},"pid":7}`)
  })

  it('cannot be changed through one of the copies that share them', () => {
    const keys = decodeState(`{${KNOWN},"pid":7}`)[UNKNOWN_KEYS] ?? []
    expect(Object.isFrozen(keys) && keys.length === 1 && keys.every(Object.isFrozen)).toBe(true)
  })

  it('are absent when there are none', () => {
    expect(UNKNOWN_KEYS in decodeState(`{${KNOWN}}`)).toBe(false)
    expect(UNKNOWN_KEYS in decodeState(`{${KNOWN},"PersistVersion":9}`)).toBe(false)
    expect(UNKNOWN_KEYS in validState(decodeState(`{${KNOWN}}`))).toBe(false)
    expect(UNKNOWN_KEYS in decodeState(`{${KNOWN},"data":{"a":[1,"\\u003c"]}}`)).toBe(false)
    expect(UNKNOWN_KEYS in decodeState(`{${KNOWN},"data":{"a":[1.0,"<"]}}`)).toBe(true)
  })

  it('keep the last value, in the first place, of one that occurs twice', () => {
    const state = decodeState(`{"a":1,${KNOWN},"b":2,"a":3}`)
    expect(state[UNKNOWN_KEYS]).toEqual([
      ['a', '3'],
      ['b', '2'],
    ])
  })

  it('may differ in case only', () => {
    expect(encodeState(decodeState(`{${KNOWN},"pid":1,"Pid":2}`))).toBe(`{${KNOWN},"pid":1,"Pid":2}`)
  })

  it('called __proto__, constructor or NUL are keys like any other', () => {
    const keys = ',"__proto__":{"state":"dead"},"constructor":1,"toString":null,"\\u0000":[]'
    const state = decodeState(`{${KNOWN}${keys}}`)
    expect(Object.getPrototypeOf(state)).toBe(Object.prototype)
    expect(state.state).toBe('ready')
    expect(encodeState({ ...state })).toBe(`{${KNOWN}${keys}}`)
  })

  it('are compacted and escaped as Go does when it writes them', () => {
    const state = decodeState(`{${KNOWN}, "<k>" : [ 1 , "a <b> \u2028" ] }`)
    expect(encodeState(state)).toBe(`{${KNOWN},"\\u003ck\\u003e":[1,"a \\u003cb\\u003e \\u2028"]}`)
  })

  it('nested as deeply as Go allows can be written and read again', () => {
    const deep = '['.repeat(9_999) + ']'.repeat(9_999)
    expect(encodeState(decodeState(`{${KNOWN},"deep":${deep}}`))).toBe(`{${KNOWN},"deep":${deep}}`)
  })
})

describe('unknown keys that did not come from a file', () => {
  const pair = (...parts: unknown[]) => Object.freeze(parts)
  const list = (...pairs: unknown[]) => Object.freeze(pairs)

  it('may be written when they are as a file would have given them', () => {
    const state = withKeys(list(pair('pid', '7')))
    expect(encodeState(state)).toBe(`{${KNOWN},"pid":7}`)
    expect(validState(state)).toEqual(state)
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['no list', { length: 0 }],
    ['a list that may change', [pair('a', '1')]],
    ['a pair that may change', list(['a', '1'])],
    ['a pair of one', list(pair('a'))],
    ['a pair of three', list(pair('a', '1', '2'))],
    ['a key that is no text', list(pair(1, '1'))],
    ['a value that is no text', list(pair('a', 1))],
    ['a known key', list(pair('STATE', '"dead"'))],
    ['a key that is there twice', list(pair('a', '1'), pair('b', '2'), pair('a', '3'))],
    ['a persistVersion', list(pair('persistVersion', '1'))],
    ['a key with a lone surrogate', list(pair('\ud83d', '1'))],
    ['a value with a lone surrogate', list(pair('a', '"\ud83d"'))],
    ['a value that is not JSON', list(pair('a', 'x'))],
    ['no value', list(pair('a', ''))],
    ['a value and another key', list(pair('a', '1,"state":"dead"'))],
    ['a value with white space', list(pair('a', '[ 1]'))],
    ['a value that is nested too deeply', list(pair('a', '['.repeat(10_000) + ']'.repeat(10_000)))],
  ])('are refused: %s', (_, keys) => {
    for (const check of [encodeState, validState]) {
      expect(stateError(() => check(withKeys(keys)))).toMatchObject({
        code: 'INVALID_STATE',
        message: 'the unknown keys are not as they were decoded',
      })
    }
  })
})
