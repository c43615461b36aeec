import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Tests run against what is shipped: `#src/...` is type-checked against src and loaded from dist,
// because the store starts worker threads and child processes, which need the built files.
const dist = fileURLToPath(new URL('./dist/', import.meta.url))

// The long run is of the test files that can go further than in the short one.
const goesFurther = () =>
  readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `test/${name}`)
    .filter(path => readFileSync(path, 'utf8').includes('support/effort.js'))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^#src\/(.*)$/, replacement: `${dist}$1` },
      { find: /^sandbox-state$/, replacement: `${dist}index.js` },
      { find: /^sandbox-state\/schemas$/, replacement: `${dist}schemas.js` },
    ],
  },
  test: {
    include: process.env.SANDBOX_STATE_TESTS === undefined ? ['test/**/*.test.ts'] : goesFurther(),
    server: { deps: { external: [/\/dist\//] } },
    // Many tests wait for a disk, a lock or a process; by default one of two cores would do nothing.
    maxWorkers: '100%',
    // Machines of CI are shared: one more try tells a fault from a process that was not run for seconds.
    retry: process.env.CI === undefined ? 0 : 1,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
