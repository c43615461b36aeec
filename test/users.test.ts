import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { long } from './support/effort.js'

test.runIf(long)(
  'the store works for other kinds of users, and for root without its rights',
  { timeout: 600_000 },
  async () => {
    const script = fileURLToPath(new URL('platforms/users.mjs', import.meta.url))
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill())
    const results = (await text(child.stdout)).trimEnd().split('\n')
    expect(results.length).toBeGreaterThan(4)
    for (const result of results) expect(result).toMatch(/ {2}(ok|not available: .+)$/)
    for (const result of results) if (!result.endsWith(' ok')) console.log(result)
  },
)
