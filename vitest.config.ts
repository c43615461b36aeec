import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Tests run against what is shipped: `#src/...` is type-checked against src and loaded from dist,
// because the store starts worker threads and child processes, which need the built files.
const dist = fileURLToPath(new URL('./dist/', import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^#src\/(.*)$/, replacement: `${dist}$1` },
      { find: /^sandbox-state$/, replacement: `${dist}index.js` },
      { find: /^sandbox-state\/schemas$/, replacement: `${dist}schemas.js` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    // Many tests wait for a disk, a lock or a process; by default one of two cores would do nothing.
    maxWorkers: '100%',
    // Machines of CI are shared: one more try tells a fault from a process that was not run for seconds.
    retry: process.env.CI === undefined ? 0 : 1,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
