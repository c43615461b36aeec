import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Tests run against what is shipped: `#src/...` is type-checked against src and loaded from dist,
// because the store starts worker threads and child processes, which need the built files.
const dist = fileURLToPath(new URL('./dist/', import.meta.url))

const goesFurther = (path: string) => readFileSync(path, 'utf8').includes('support/effort.js')

const isShort = process.env.SANDBOX_STATE_TESTS === undefined

// The long run is of the test files that can go further than in the short one.
const tests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.ts'))
  .map(name => `test/${name}`)
  .filter(path => isShort || goesFurther(path))

// These leave the process as it was, so that the next file of theirs can have the same one: starting it and loading
// the library would take longer than most of them.
const sharesProcess = (path: string) => /^test\/(cli|docs|kata|state)\//.test(path)

/** These wait for ten seconds and more. Begun last, they would run alone at the end. */
const WAITING =
  /(faults\/(paused|slow-disk)|etcd\/(cluster|callers|watch|lost-answers)|(file|cli)\/watch)\.test\.ts$/

class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const waits = ({ moduleId }: TestSpecification) => Number(WAITING.test(moduleId))
    return (await super.sort(files)).toSorted((a, b) => waits(b) - waits(a))
  }
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^#src\/(.*)$/, replacement: `${dist}$1` },
      { find: /^sandbox-state$/, replacement: `${dist}index.js` },
      { find: /^sandbox-state\/schemas$/, replacement: `${dist}schemas.js` },
    ],
  },
  test: {
    server: { deps: { external: [/\/dist\//] } },
    // Most tests of the short run wait for a disk, a lock or a process, half of those of the long run.
    maxWorkers: (isShort ? 3 : 2) * availableParallelism(),
    maxConcurrency: 30,
    sequence: { sequencer: WaitingFirst },
    testTimeout: isShort ? 30_000 : 120_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'own process', include: tests.filter(path => !sharesProcess(path)) } },
      {
        extends: true,
        test: { name: 'shared process', include: tests.filter(sharesProcess), isolate: false },
      },
    ],
  },
})
