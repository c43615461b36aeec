import { setTimeout as sleep } from 'node:timers/promises'
import { loopDelay } from '../loop-delay.mjs'
import { measurement, stalls, turned } from '../measure.mjs'
import { median, ratioOf, rounded } from '../statistics.mjs'

const SANDBOXES = 64

export const atOnce = {
  name: 'at-once',
  title: `One process, ${SANDBOXES} sandboxes: transitions one at a time, and all at once with Promise.all`,
  async run(context) {
    const everyone = await context.openEveryone(['floor', 'naive', 'ours'])
    const ids = Array.from({ length: SANDBOXES }, (_, index) => `sandbox-${index}`)
    try {
      for (const opened of Object.values(everyone)) {
        for (const id of ids) {
          await opened.create(id)
          await opened.transition(id, 'ready', 'running')
        }
      }
      return await takeTurns(everyone, ids, context)
    } finally {
      for (const opened of Object.values(everyone)) await opened.close()
    }
  },
}

async function takeTurns(everyone, ids, { rounds, time }) {
  const batches = {}
  for (const [name, opened] of Object.entries(everyone)) {
    const next = Object.fromEntries(ids.map(id => [id, ['running', 'paused']]))
    const toggle = id => {
      const [from, to] = next[id]
      next[id] = [to, from]
      return opened.transition(id, from, to)
    }
    batches[`${name}, one at a time`] = async () => {
      for (const id of ids) await toggle(id)
    }
    if (name !== 'floor') batches[`${name}, at once`] = () => Promise.all(ids.map(toggle))
  }
  const names = Object.keys(batches)
  const samples = Object.fromEntries([...names, 'idle'].map(name => [name, []]))
  for (const batch of Object.values(batches)) await batch()
  for (let round = 0; round < rounds; round++) {
    for (const name of turned(names, round)) samples[name].push(await sample(batches[name], time * 3))
    samples.idle.push(await loopDelay(() => sleep(time * 3)))
  }
  return [
    ...names.map(name => {
      const rates = samples[name].map(({ rate }) => rate)
      return {
        ...measurement(name.split(', ')[1], name.split(', ')[0], '/s', rates, {
          ...cpuOf(samples[name]),
          ...delays(samples[name]),
        }),
        ratios: {},
      }
    }),
  ].map((each, _, all) => withComparison(each, all, delays(samples.idle)))
}

/** Whole batches for so many ms. */
async function sample(batch, ms) {
  let count = 0
  let seconds = 0
  const before = process.cpuUsage()
  const delay = await loopDelay(async () => {
    const start = performance.now()
    do {
      await batch()
      count += SANDBOXES
    } while (performance.now() - start < ms)
    seconds = (performance.now() - start) / 1000
  })
  const { user, system } = process.cpuUsage(before)
  return { rate: count / seconds, cpu: (user + system) / count, ...delay }
}

/** Of the whole process, all its threads included. */
function cpuOf(samples) {
  return { cpu: rounded(median(samples.map(({ cpu }) => cpu))) }
}

function delays(samples) {
  return {
    loopDelayP99: rounded(median(samples.map(({ p99 }) => p99))),
    ...stalls(samples.map(({ longest }) => longest)),
  }
}

function withComparison(each, all, idle) {
  const of = (what, contender) => all.find(other => other.what === what && other.contender === contender)
  const ratios = {}
  const floor = of('one at a time', 'floor')
  if (each !== floor) ratios.floor = rounded(ratioOf(each.rounds, floor.rounds))
  const naive = of(each.what, 'naive')
  if (naive !== undefined && naive !== each) ratios.naive = rounded(ratioOf(each.rounds, naive.rounds))
  const alone = of('one at a time', each.contender)
  const facts = { ...each.facts, idleLoopDelayP99: idle.loopDelayP99 }
  if (each.what === 'at once') facts.speedUp = rounded(ratioOf(each.rounds, alone.rounds))
  return { ...each, facts, ratios }
}
