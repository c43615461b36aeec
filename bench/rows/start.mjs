import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { measurement, turned, withRatios } from '../measure.mjs'
import { median, rounded } from '../statistics.mjs'

const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href
const STARTS_PER_ROUND = 4

export const start = {
  name: 'start',
  title: 'A whole process, from its start to its end',
  async run(context) {
    const root = context.folder('start')
    const opened = await context.contenders.ours.open(root)
    await opened.create('one')
    await opened.close()
    const commands = {
      'node -e 0': ['-e', '0'],
      'import of the library': ['--input-type=module', '-e', `await import(${JSON.stringify(LIBRARY)})`],
      'sandbox-state state ID': [BIN, '--root', root, 'state', 'one'],
    }
    return takeTurns(commands, context)
  },
}

async function takeTurns(commands, { rounds }) {
  const names = Object.keys(commands)
  const times = Object.fromEntries(names.map(name => [name, []]))
  for (const name of names) await timeOf(commands[name])
  for (let round = 0; round < rounds; round++) {
    for (const name of turned(names, round)) {
      const samples = []
      for (let i = 0; i < STARTS_PER_ROUND; i++) samples.push(await timeOf(commands[name]))
      times[name].push(median(samples))
    }
  }
  const base = times['node -e 0']
  const measured = names.map(name => {
    if (times[name] === base) return measurement(name, 'floor', 'ms', base)
    const extra = rounded(median(times[name].map((time, round) => time - base[round])))
    return measurement(name, 'ours', 'ms', times[name], { extra })
  })
  return withRatios(measured)
}

async function timeOf(args) {
  const begin = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  const [status] = await once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  const ms = performance.now() - begin
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`)
  return ms
}
