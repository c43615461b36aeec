import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FIRST_TEXT } from '../contenders/floor.mjs'
import { loopDelay } from '../loop-delay.mjs'
import { measurement, stalls, turned, withRatios } from '../measure.mjs'
import { rounded } from '../statistics.mjs'

export const list = {
  name: 'list',
  title: 'list and check of many sandboxes: time for each sandbox',
  async run(context) {
    const root = context.folder('many')
    const floor = context.contenders.floor.open(root)
    const ours = await context.contenders.ours.open(root)
    const walks = {
      'list floor': () => floor.list(),
      'list ours': () => countOf(ours.store.list()),
      'check ours': () => countOf(ours.store.check()),
    }
    const measured = []
    try {
      let made = 0
      for (const size of context.sizes) {
        for (; made < size; made++) makeSandbox(root, made)
        if (measured.length === 0) await warmUp(walks, size)
        measured.push(...(await takeTurns(walks, size, context)))
      }
    } finally {
      floor.close()
      await ours.close()
    }
    return withRatios(measured, what => what.replace('check', 'list'))
  },
}

/** A state alone, as from a backup. Made without the store, which would take minutes. */
function makeSandbox(root, number) {
  const folder = join(root, `sandbox-${String(number).padStart(6, '0')}`)
  mkdirSync(folder, 0o700)
  writeFileSync(join(folder, 'state.json'), FIRST_TEXT, { mode: 0o600 })
}

/** A walk that leaves something out would be a fast one. */
async function warmUp(walks, size) {
  for (const [name, walk] of Object.entries(walks)) {
    const count = await walk()
    if (name.startsWith('list') && count !== size) throw new Error(`${name}: ${count} of ${size} sandboxes`)
  }
}

async function takeTurns(walks, size, { rounds }) {
  const names = Object.keys(walks)
  const times = Object.fromEntries(names.map(name => [name, []]))
  const longest = Object.fromEntries(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of turned(names, round)) {
      let ms = 0
      const delay = await loopDelay(async () => {
        const start = performance.now()
        await walks[name]()
        ms = performance.now() - start
      })
      times[name].push((ms * 1000) / size)
      longest[name].push(delay.longest)
    }
  }
  const measured = []
  for (const name of names) {
    const [what, contender] = name.split(' ')
    const facts = stalls(longest[name])
    if (contender === 'ours') facts.memory = await memoryOf(walks[name])
    const label = `${what} ${size.toLocaleString('en')}`
    measured.push(measurement(label, contender, 'µs', times[name], facts))
  }
  return measured
}

async function countOf(items) {
  let count = 0
  for await (const _ of items) count++
  return count
}

/**
 * What is live during a walk beyond what was live before it, at most, in MB: looked at, after a garbage collection,
 * when the walk lets the event loop turn. Apart from the rounds that are timed.
 * @returns undefined for a walk that was over before the first look
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
