import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FIRST_TEXT } from '../contenders/floor.mjs'
import { loopDelay } from '../loop-delay.mjs'
import { inTurns, line, stalls, withRatios } from '../measure.mjs'
import { rounded } from '../statistics.mjs'

/** This many are measured once, and in memory only: their check takes ten seconds, and reads from memory anyway. */
const LARGE = 100_000

export const list = {
  name: 'list',
  title: 'list and check of many sandboxes: time for each sandbox',
  on: ['tmpfs', 'disk'],
  async measure({ contenders, folder, kind, sizes, rounds }) {
    const root = folder('many')
    const floor = contenders.floor.open(root)
    const ours = await contenders.ours.open(root)
    const walks = [
      { what: 'list', contender: 'floor', run: async () => floor.list() },
      { what: 'list', contender: 'ours', run: () => countOf(ours.store.list()) },
      { what: 'check', contender: 'ours', run: () => countOf(ours.store.check()) },
    ]
    const lines = []
    try {
      let made = 0
      for (const size of sizes.filter(size => size < LARGE || kind === 'memory')) {
        for (; made < size; made++) makeSandbox(root, made)
        if (lines.length === 0) await warmUp(walks, size)
        lines.push(...(await measureWalks(walks, size, size < LARGE ? rounds : 1)))
      }
    } finally {
      floor.close()
      await ours.close()
    }
    return withRatios(lines, what => what.replace('check', 'list'))
  },
}

/** Only a state, as from a backup. With the store this would take minutes. */
function makeSandbox(root, number) {
  const folder = join(root, `sandbox-${String(number).padStart(6, '0')}`)
  mkdirSync(folder, 0o700)
  writeFileSync(join(folder, 'state.json'), FIRST_TEXT, { mode: 0o600 })
}

/** Also checks that each list is complete: one that skips sandboxes would look fast. */
async function warmUp(walks, size) {
  for (const { what, contender, run } of walks) {
    const count = await run()
    if (what === 'list' && count !== size) {
      throw new Error(`the list of ${contender} has ${count} of ${size} sandboxes`)
    }
  }
}

async function measureWalks(walks, size, rounds) {
  const samples = await inTurns(walks, rounds, async ({ run }) => {
    let ms = 0
    const { longest } = await loopDelay(async () => {
      const start = performance.now()
      await run()
      ms = performance.now() - start
    })
    return { each: (ms * 1000) / size, longest }
  })
  const lines = []
  for (const [{ what, contender, run }, rounds] of samples) {
    const facts = stalls(rounds.map(({ longest }) => longest))
    if (contender === 'ours') facts.memory = await memoryOf(run)
    const times = rounds.map(({ each }) => each)
    lines.push(line(`${what} ${size.toLocaleString('en')}`, contender, 'µs', times, facts))
  }
  return lines
}

async function countOf(items) {
  let count = 0
  for await (const _ of items) count++
  return count
}

/**
 * The most memory that is live during a walk beyond what was live before it, in MB. It is sampled after a garbage
 * collection every 25 ms, as far as the walk lets the event loop turn, in a walk of its own that is not timed.
 * @returns undefined for a walk that ended before the first sample
 */
async function memoryOf(walk) {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const live = () => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const before = live()
  let most
  const looking = setInterval(() => {
    most = Math.max(most ?? before, live())
  }, 25)
  await walk()
  clearInterval(looking)
  return most === undefined ? undefined : rounded((most - before) / 1e6)
}
