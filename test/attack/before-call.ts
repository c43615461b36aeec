import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { libc } from '#src/file/posix/libc.js'

type Call = (...args: unknown[]) => unknown
type Functions = Record<string, Call>

/** The functions by which the store reaches files in the thread that calls it. */
const SYNCHRONOUS = Object.keys(fs).filter(name => name.endsWith('Sync'))
const PROMISES = ['open']
const LIBC = Object.keys(libc)

/**
 * Runs `act` just before each call of node:fs and of the C library that `during` makes in this thread, with the call's number
 * from 1 and its name: what another process could do between any two system calls, and here does for certain.
 * @returns how many calls there were
 */
export async function beforeEachCall(
  act: (n: number, name: string) => void,
  during: () => Promise<unknown>,
): Promise<number> {
  let count = 0
  let acting = false
  const restore = [
    patch(fs as unknown as Functions, SYNCHRONOUS),
    patch(fs.promises as unknown as Functions, PROMISES),
    patch(libc as unknown as Functions, LIBC),
  ]
  syncBuiltinESMExports()
  try {
    await during()
  } finally {
    for (const put of restore) put()
    syncBuiltinESMExports()
  }
  return count

  function patch(functions: Functions, names: readonly string[]): () => void {
    const originals = Object.fromEntries(names.map(name => [name, functions[name] as Call]))
    for (const [name, original] of Object.entries(originals)) {
      functions[name] = Object.assign((...args: unknown[]) => {
        if (!acting) attack(name)
        return original(...args)
      }, original)
    }
    return () => Object.assign(functions, originals)
  }

  function attack(name: string): void {
    acting = true
    try {
      act(++count, name)
    } finally {
      acting = false
    }
  }
}
