import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findViolation, type Model, type Operation } from './linearizability.js'

type Input = { readonly write: number } | 'read'
type Output = 'written' | number

const register: Model<number, Input, Output> = {
  initial: 0,
  step(state, input, output) {
    if (input !== 'read') return input.write
    return output === undefined || output === state ? state : undefined
  },
  key: String,
}

const write = (start: number, end: number, value: number): Operation<Input, Output> => ({
  start,
  end,
  input: { write: value },
  output: 'written',
})
const lost = (start: number, end: number, value: number): Operation<Input, Output> => ({
  ...write(start, end, value),
  output: undefined,
})
const read = (start: number, end: number, output: number): Operation<Input, Output> => ({
  start,
  end,
  input: 'read',
  output,
})

describe('a history is linearizable', () => {
  test.each([
    ['without operations', []],
    ['one after another', [write(0, 1, 7), read(2, 3, 7)]],
    ['a read beside a write sees the old value', [write(0, 10, 7), read(1, 2, 0)]],
    ['a read beside a write sees the new value', [write(0, 10, 7), read(1, 2, 7)]],
    ['two writes side by side, read in the other order', [write(0, 9, 1), write(1, 9, 2), read(10, 11, 1)]],
    ['reads beside two writes see both', [write(0, 9, 1), write(0, 9, 2), read(1, 2, 2), read(3, 4, 1)]],
    [
      'an operation within another, within another',
      [write(0, 9, 1), write(1, 8, 2), read(2, 3, 2), read(4, 5, 1)],
    ],
    ['a killed write was seen', [lost(0, 5, 7), read(6, 7, 7)]],
    ['a killed write was not seen', [lost(0, 5, 7), read(6, 7, 0)]],
    ['a killed write took effect between two reads', [lost(0, 9, 7), read(1, 2, 0), read(3, 4, 7)]],
    ['they meet in one instant', [write(0, 5, 7), read(5, 6, 0)]],
  ])('%s', (_, operations) => {
    expect(findViolation(register, operations)).toBeUndefined()
  })
})

describe('a history is not linearizable', () => {
  test.each([
    ['a read sees what nobody wrote', [write(0, 1, 7), read(2, 3, 8)]],
    ['a read sees an old value', [write(0, 1, 7), read(2, 3, 0)]],
    ['a read sees a value before it is written', [read(0, 1, 7), write(2, 3, 7)]],
    ['a value comes back', [write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1)]],
    [
      'reads see two writes in two orders',
      [write(0, 9, 1), write(0, 9, 2), read(1, 2, 2), read(3, 4, 1), read(5, 6, 2)],
    ],
    ['new, then old, beside a write', [write(0, 9, 7), read(1, 2, 7), read(3, 4, 0)]],
    ['a killed write takes effect after its process is dead', [lost(0, 2, 7), read(3, 4, 0), read(5, 6, 7)]],
    ['a killed write is undone', [lost(0, 9, 7), read(1, 2, 7), read(3, 4, 0)]],
  ])('%s', (_, operations) => {
    expect(findViolation(register, operations)).toBeDefined()
  })

  test('it says how far it came, with what, and what cannot come next', () => {
    const wrong = read(4, 5, 1)
    const found = findViolation(register, [write(0, 1, 1), write(2, 3, 2), wrong, read(6, 7, 2)])
    expect(found).toEqual({ done: 2, states: ['2'], candidates: [wrong] })
  })
})

interface Call {
  readonly write: boolean
  readonly value: number
  readonly before: number
  readonly after: number
  readonly killed: boolean
}

/** Calls of several processes, in the order of their effects. */
const histories: fc.Arbitrary<Call[]> = fc.array(
  fc.record({
    write: fc.boolean(),
    value: fc.nat({ max: 3 }),
    before: fc.nat({ max: 30 }),
    after: fc.nat({ max: 30 }),
    killed: fc.boolean(),
  }),
  { maxLength: 12 },
)

/** The nth call as its process sees it, from some time before its effect until some time after it. */
function operationOf({ write: isWrite, value, before, after, killed }: Call, nth: number, seen: number) {
  const [start, end] = [10 * nth - before, 10 * nth + after]
  if (!isWrite) return read(start, end, seen)
  return killed ? lost(start, end, value) : write(start, end, value)
}

test('calls that took effect one after another are linearizable', () => {
  fc.assert(
    fc.property(histories, calls => {
      let state = 0
      const operations = calls.map((call, i) => {
        if (call.write) state = call.value
        return operationOf(call, i, state)
      })
      expect(findViolation(register, operations)).toBeUndefined()
    }),
    { numRuns: 500 },
  )
})

test('it finds what trying every order finds', () => {
  fc.assert(
    fc.property(histories, calls => {
      const operations = calls.slice(0, 6).map((call, i) => operationOf(call, i, call.value))
      expect(findViolation(register, operations) === undefined).toBe(someOrder(operations, 0))
    }),
    { numRuns: 1000 },
  )
})

/** The definition itself, for a few operations. */
function someOrder(left: readonly Operation<Input, Output>[], state: number): boolean {
  if (left.length === 0) return true
  return left.some((operation, i) => {
    const rest = left.filter((_, j) => j !== i)
    if (rest.some(({ end }) => end < operation.start)) return false
    const after = register.step(state, operation.input, operation.output)
    if (after !== undefined && someOrder(rest, after)) return true
    return operation.output === undefined && someOrder(rest, state)
  })
}

test('the time for 10,000 operations of 8 processes does not explode', { timeout: 60_000 }, () => {
  const operations: Operation<Input, Output>[] = []
  for (let i = 0; i < 10_000; i++) {
    operations.push(i % 2 === 0 ? write(10 * i - 40, 10 * i + 40, i) : read(10 * i - 40, 10 * i + 40, i - 1))
  }
  expect(findViolation(register, operations)).toBeUndefined()
})
