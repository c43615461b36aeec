import { setTimeout as sleep } from 'node:timers/promises'
import { backAndForth } from '../contenders.mjs'
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
  const ms = time * 3
  const rows = Object.entries(everyone).flatMap(([contender, opened]) => {
    const toggles = ids.map(id => backAndForth(opened, id))
    const oneAtATime = async () => {
      for (const toggle of toggles) await toggle()
    }
    const atOnce = () => Promise.all(toggles.map(toggle => toggle()))
    return [
      { what: 'one at a time', contender, batch: oneAtATime, samples: [] },
      // A synchronous one makes them one at a time in any case.
      ...(contender === 'floor' ? [] : [{ what: 'at once', contender, batch: atOnce, samples: [] }]),
    ]
  })
  const idle = []
  for (const { batch } of rows) await sample(batch, ms)
  for (let round = 0; round < rounds; round++) {
    for (const { batch, samples } of turned(rows, round)) samples.push(await sample(batch, ms))
    idle.push(await loopDelay(() => sleep(ms)))
  }
  const measured = rows.map(({ what, contender, samples }) => {
    const rates = samples.map(({ rate }) => rate)
    const facts = { ...cpuOf(samples), ...delays(samples), idleLoopDelayP99: delays(idle).loopDelayP99 }
    return measurement(what, contender, '/s', rates, facts)
  })
  return measured.map(each => withComparison(each, measured))
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

function withComparison(each, all) {
  const of = (what, contender) => all.find(other => other.what === what && other.contender === contender)
  const against = other =>
    other === undefined || other === each ? undefined : rounded(ratioOf(each.rounds, other.rounds))
  const ratios = { floor: against(of('one at a time', 'floor')), naive: against(of(each.what, 'naive')) }
  const speedUp = against(of('one at a time', each.contender))
  return { ...each, facts: { ...each.facts, speedUp }, ratios }
}
