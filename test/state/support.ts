import fc from 'fast-check'
import { type ErrorCode, StateStoreError } from '#src/errors.js'
import { STATES } from '#src/state/machine.js'
import type { SandboxState } from '#src/state/sandbox-state.js'

/** The error that `act` throws; fails when it throws none, or one of another class. */
export function stateError(act: () => unknown): StateStoreError {
  try {
    act()
  } catch (error) {
    if (error instanceof StateStoreError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The code of the error that `act` throws, or undefined when it returns. Any other error passes through. */
export function codeOf(act: () => unknown): ErrorCode | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof StateStoreError) return error.code
    throw error
  }
}

/** Text of any UTF-16 units, lone surrogates and control characters among them. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...'"\\<>&/\b\f\n\r\t\0\u007f\u2028\u2029\ufffd\ufeff', '\ud83d', '\ude80', '🚀'),
      fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)),
      fc.integer({ min: 0, max: 0xffff }).map(code => String.fromCharCode(code)),
    ),
  )
  .map(parts => parts.join(''))

/** Text that Go can hold: no lone surrogates. */
export const goText: fc.Arbitrary<string> = anyText.map(text => text.toWellFormed())

const uint = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER))

/** Any valid state without unknown keys, as it is after a decode. */
export const decodedState: fc.Arbitrary<SandboxState> = fc.record({
  state: fc.constantFrom(...STATES),
  blockIndex: fc.oneof(uint, fc.integer(), fc.constantFrom(-1, Number.MIN_SAFE_INTEGER)),
  guestMemoryBlockSize: fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 128, 0xffff_ffff)),
  guestMemoryHotplugProbe: fc.boolean(),
  cgroupPath: fc.oneof(fc.constant(''), goText),
  persistVersion: fc.constant(0),
})

/** JSON text, with mistakes in about half of the cases. */
export const nearlyJson: fc.Arbitrary<string> = withMistakes(
  fc.oneof(
    fc.json(),
    fc.jsonValue().map(value => JSON.stringify({ state: value }, null, '\t')),
  ),
)

/** Text with at most two characters put in, or in the place of others. */
export function withMistakes(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const mistake = fc.tuple(
    fc.nat(),
    fc.nat(2),
    fc.constantFrom(...'{}[],:"\\/untfe0123-+. \t\n\r\0\u00a0\ufeff'),
  )
  return fc
    .tuple(texts, fc.array(mistake, { maxLength: 2 }))
    .map(([text, mistakes]) =>
      mistakes.reduce((edited, [at, cut, character]) => edit(edited, at, cut, character), text),
    )
}

function edit(text: string, at: number, cut: number, character: string): string {
  const start = at % (text.length + 1)
  return text.slice(0, start) + character + text.slice(start + cut)
}
