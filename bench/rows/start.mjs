import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasCompileCache } from '../machine.mjs'
import { inTurns, line, withRatios } from '../measure.mjs'
import { median, rounded } from '../statistics.mjs'

const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href
const STARTS_PER_ROUND = 4

/** By program: what it is compared with, which does nothing. */
const BASES = { 'import of index.js': 'an empty module', 'sandbox-state state ID': 'node -e 0' }

export const start = {
  name: 'start',
  title: `A whole process, from its start to its end, ${hasCompileCache() ? 'with' : 'without'} a compile cache`,
  on: ['disk'],
  async measure(context) {
    const root = context.folder('start')
    const opened = await context.contenders.ours.open(root)
    await opened.create('one')
    await opened.close()
    const modules = context.folder('modules')
    const moduleOf = (name, text) => {
      const file = join(modules, name)
      writeFileSync(file, text)
      return [file]
    }
    const commands = {
      'an empty module': moduleOf('empty.mjs', ''),
      'import of index.js': moduleOf('import.mjs', `import ${JSON.stringify(LIBRARY)}\n`),
      'node -e 0': ['-e', '0'],
      'sandbox-state state ID': [BIN, '--root', root, 'state', 'one'],
    }
    // A Node without a compile cache ignores this variable.
    const env = { ...process.env, NODE_COMPILE_CACHE: context.folder('compile-cache') }
    return measureStarts(commands, env, context)
  },
}

async function measureStarts(commands, env, { rounds }) {
  const names = Object.keys(commands)
  for (const name of names) await timeOf(commands[name], env)
  const times = await inTurns(names, rounds, async name => {
    const samples = []
    for (let i = 0; i < STARTS_PER_ROUND; i++) samples.push(await timeOf(commands[name], env))
    return median(samples)
  })
  const lines = names.map(name => {
    const base = times.get(BASES[name])
    if (base === undefined) return line(name, 'floor', 'ms', times.get(name))
    const extra = rounded(median(times.get(name).map((time, round) => time - base[round])))
    return line(name, 'ours', 'ms', times.get(name), { extra })
  })
  return withRatios(lines, what => BASES[what])
}

async function timeOf(args, env) {
  const begin = performance.now()
  const child = spawn(process.execPath, args, { stdio: 'ignore', env })
  const [status] = await once(child, 'exit', { signal: AbortSignal.timeout(60_000) })
  const ms = performance.now() - begin
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`)
  return ms
}
