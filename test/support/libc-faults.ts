import { type ChildProcess, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { nextMessage, startProgram } from './program.js'

/** Why calls of the C library cannot be made to fail here; undefined when they can. */
export const noLibcFaults: string | undefined = whyNot()

function whyNot(): string | undefined {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  if (header.glibcVersionRuntime === undefined) return 'the C library is not glibc'
  return spawnSync('gcc', ['--version']).error === undefined ? undefined : 'gcc is not installed'
}

let library: string | undefined

/** Compiled once for a test file. */
function compile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-state-test-'))
  const file = join(folder, 'faults.so')
  const source = fileURLToPath(new URL('../programs/faults.c', import.meta.url))
  const { status, stderr } = spawnSync('gcc', ['-shared', '-fPIC', '-O1', '-o', file, source, '-ldl'])
  if (status !== 0) throw new Error(`gcc failed: ${stderr}`)
  return file
}

afterAll(() => {
  if (library !== undefined) rmSync(join(library, '..'), { recursive: true })
})

/** Starts a program of test/programs in which test/programs/faults.c can make calls of the C library fail. */
export async function startWithFaults(
  name: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  library ??= compile()
  const child = startProgram(name, args, {
    env: { ...process.env, ...environment, LD_PRELOAD: library },
    // So that a forked child needs no thread that it does not have.
    execArgv: ['--single-threaded', '--v8-pool-size=0'],
  })
  await nextMessage(child)
  return child
}
