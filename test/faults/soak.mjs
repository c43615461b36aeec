// Everything at once for an hour: npm run soak [-- --minutes N]
// On a terminal one line shows how far it is; the outcome of each round stays. Exit status: 0 when every promise was
// kept; 1 when not, with what was wrong and where it can be looked at (the processes race, so no seed would repeat it).
import { parseArgs } from 'node:util'
import { startVitest } from 'vitest/node'

const USAGE = 'usage: npm run soak [-- --minutes N]'

function minutesAsked() {
  try {
    const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
    const minutes = Number(values.minutes)
    if (minutes > 0) return minutes
    console.error(`--minutes must be a number above 0\n${USAGE}`)
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`)
  }
  process.exit(2)
}

const { stdout } = process
const clearLine = stdout.isTTY ? '\r\x1b[K' : ''

const reporter = {
  /** What stays comes on the standard output, the progress on the other. */
  onUserConsoleLog({ content, type }) {
    if (type === 'stdout') stdout.write(clearLine + content)
    else if (stdout.isTTY) stdout.write(clearLine + content.trim().split('\n').at(-1))
  },
  onTestRunEnd(modules, errors) {
    stdout.write(clearLine)
    const tests = modules.flatMap(module => [...module.children.allTests()])
    const failures = [...errors, ...modules.flatMap(module => module.errors())]
    for (const test of tests) failures.push(...(test.result().errors ?? []))
    for (const { message } of failures) console.error(message)
    stdout.write(failures.length === 0 ? 'every promise was kept\n' : 'something is wrong, see above\n')
  },
}

process.env.SANDBOX_STATE_TESTS = 'soak'
process.env.SANDBOX_STATE_SOAK_MINUTES = String(minutesAsked())
const vitest = await startVitest('test', ['test/faults/soak.test.ts'], {
  watch: false,
  reporters: [reporter],
})
await vitest.close()
