import { setTimeout as sleep } from 'node:timers/promises'
import { backAndForth, withContenders } from '../contenders.mjs'
import { loopDelay } from '../loop-delay.mjs'
import { inTurns, line, stalls, withRatios } from '../measure.mjs'
import { PLACES } from '../places.mjs'
import { median, ratioOf, rounded } from '../statistics.mjs'

const IDS = Array.from({ length: 64 }, (_, index) => `sandbox-${index}`)
const ONE_AT_A_TIME = `${IDS.length} one at a time`
const AT_ONCE = `${IDS.length} at once`

/** The floor and SQLite are synchronous, so they only do one at a time. */
const CONTENDERS = ['floor', 'naive', 'ours', 'sqlite']
const ASYNCHRONOUS = ['naive', 'ours']

export const atOnce = {
  name: 'at-once',
  title: `One process, ${IDS.length} sandboxes: a transition of each, one at a time and at once with Promise.all`,
  on: PLACES,
  measure: context =>
    withContenders(context, CONTENDERS, IDS, everyone => measureBatches(batchesOf(everyone), context)),
}

function batchesOf(everyone) {
  return Object.entries(everyone).flatMap(([contender, opened]) => {
    const toggles = IDS.map(id => backAndForth(opened, id))
    const oneAtATime = async () => {
      for (const toggle of toggles) await toggle()
    }
    const atOnce = () => Promise.all(toggles.map(toggle => toggle()))
    const batches = [{ what: ONE_AT_A_TIME, contender, run: oneAtATime }]
    if (ASYNCHRONOUS.includes(contender)) batches.push({ what: AT_ONCE, contender, run: atOnce })
    return batches
  })
}

async function measureBatches(batches, { rounds, time }) {
  const ms = time * 3
  const idle = { run: () => sleep(ms) }
  for (const batch of batches) await sample(batch, ms)
  const samples = await inTurns([...batches, idle], rounds, batch => sample(batch, ms))
  const medianOf = (batch, figure) => rounded(median(samples.get(batch).map(each => each[figure])))
  const ratesOf = batch => samples.get(batch).map(({ rate }) => rate)
  const lines = batches.map(batch => {
    const { what, contender } = batch
    const alone = batches.find(other => other.what === ONE_AT_A_TIME && other.contender === contender)
    return line(what, contender, '/s', ratesOf(batch), {
      speedUp: batch === alone ? undefined : rounded(ratioOf(ratesOf(batch), ratesOf(alone))),
      cpu: medianOf(batch, 'cpu'),
      loopDelayP99: medianOf(batch, 'p99'),
      idleLoopDelayP99: medianOf(idle, 'p99'),
      ...stalls(samples.get(batch).map(({ longest }) => longest)),
    })
  })
  return withRatios(lines, () => ONE_AT_A_TIME)
}

/** Runs whole batches for `ms` milliseconds. `cpu` is the processor time of all threads for each change, in µs. */
async function sample({ run }, ms) {
  let count = 0
  let seconds = 0
  const before = process.cpuUsage()
  const delay = await loopDelay(async () => {
    const start = performance.now()
    do {
      await run()
      count += IDS.length
      seconds = (performance.now() - start) / 1000
    } while (seconds < ms / 1000)
  })
  const { user, system } = process.cpuUsage(before)
  return { rate: count / seconds, cpu: (user + system) / count, ...delay }
}
