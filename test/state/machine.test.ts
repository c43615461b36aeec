import { describe, expect, it } from 'vitest'
import { checkTransition, isValidState, STATES, TRANSITIONS } from '#src/state/machine.js'
import { codeOf, stateError } from './support.js'
import { transitionVectors } from './vectors.js'

const HOSTILE = ['__proto__', 'constructor', 'toString', '', 'Ready', ' ready', 'ready\0', 'length', '0']

describe('states', () => {
  it('are the four of Kata', () => {
    expect(STATES).toEqual(['ready', 'running', 'paused', 'stopped'])
    expect(STATES.every(isValidState)).toBe(true)
  })

  it.each([...HOSTILE, undefined, null, 0, ['ready'], new String('ready'), {}])(
    'do not include %o',
    value => {
      expect(isValidState(value)).toBe(false)
    },
  )
})

describe('TRANSITIONS', () => {
  it('are those of Kata', () => {
    expect(TRANSITIONS).toEqual({
      ready: ['running', 'stopped'],
      running: ['paused', 'stopped'],
      paused: ['running', 'stopped'],
      stopped: ['running'],
    })
  })

  it('cannot be changed by a program that uses them', () => {
    for (const state of STATES) expect(Object.isFrozen(TRANSITIONS[state])).toBe(true)
    expect(Reflect.set(TRANSITIONS, 'stopped', ['ready'])).toBe(false)
    expect(Reflect.set(STATES, 0, 'broken')).toBe(false)
  })
})

describe('checkTransition', () => {
  it('agrees with Go on every vector', () => {
    expect(transitionVectors).toHaveLength(216)
    for (const { Current, Expected, Next, Ok } of transitionVectors) {
      const wanted = Ok ? undefined : Current === Expected ? 'INVALID_TRANSITION' : 'STATE_MISMATCH'
      expect(
        codeOf(() => checkTransition(Current, Expected, Next)),
        `${Current} (expected ${Expected}) to ${Next}`,
      ).toBe(wanted)
    }
  })

  it('allows a pair of states just when TRANSITIONS has it', () => {
    let allowed = 0
    for (const from of STATES) {
      for (const to of STATES) {
        const code = codeOf(() => checkTransition(from, from, to))
        expect(code).toBe(new Set<string>(TRANSITIONS[from]).has(to) ? undefined : 'INVALID_TRANSITION')
        if (code === undefined) allowed += 1
      }
    }
    expect(allowed).toBe(7)
  })

  it('says where the current state may go, and carries both states', () => {
    const error = stateError(() => checkTransition('ready', 'ready', 'paused'))
    expect(error.message).toBe('cannot move from ready to paused (from ready: running or stopped)')
    expect(error).toMatchObject({ code: 'INVALID_TRANSITION', from: 'ready', to: 'paused' })
  })

  it('looks at the expected state first', () => {
    const error = stateError(() => checkTransition('running', 'ready', 'ready'))
    expect(error.message).toBe('the state is running, expected ready')
    expect(error).toMatchObject({ code: 'STATE_MISMATCH', from: 'ready', to: 'ready' })
  })

  it.each(HOSTILE)('refuses %j, which is no state, at either end', name => {
    expect(codeOf(() => checkTransition(name, name, 'running'))).toBe('INVALID_TRANSITION')
    expect(codeOf(() => checkTransition('ready', 'ready', name))).toBe('INVALID_TRANSITION')
  })

  it.each([[], [1, 2, 3], ['ready', 'ready'], ['ready', null, 'running']])(
    'takes text only, not %j, %j, %j',
    (...given) => {
      expect(() => Reflect.apply(checkTransition, undefined, given)).toThrow(
        /^(current|expected|next) must be a state, not /,
      )
    },
  )

  it('shows nothing raw that a terminal could obey', () => {
    const { message } = stateError(() => checkTransition('\u001b[2J', '\u001b[2J', 'a\n\u009bb\u202e'))
    expect(message).toBe(
      'cannot move from "\\u001b[2J" to "a\\n\\u009bb\\u202e" ("\\u001b[2J" is not a state)',
    )
  })
})
