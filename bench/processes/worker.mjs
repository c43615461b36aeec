// One of several processes that open contenders and call them at the same time.
import { backAndForth, loadContender } from '../contenders.mjs'
import { clock, spin } from '../measure.mjs'

/** By contender: what `run` repeats. */
const operations = new Map()

const commands = {
  async open({ contender, root, id, what, warmUp }) {
    const opened = await open(contender, root)
    const operation = what === 'transition' ? backAndForth(opened, id) : () => opened.increment(id)
    operations.set(contender, operation)
    await spendOwnTime(operation, warmUp)
  },

  async run({ contender, ms }) {
    const start = performance.now()
    const durations = await spin(operations.get(contender), ms)
    const seconds = (performance.now() - start) / 1000
    return { count: durations.length, seconds, longest: Math.max(...durations) / 1000 }
  },

  /** Enters an update, answers, and stays inside until it is killed or the benchmark ends. */
  async hold({ contender, root, id }) {
    const opened = await open(contender, root)
    const parent = process.ppid
    const never = new Int32Array(new SharedArrayBuffer(4))
    await opened.update(id, state => {
      process.send({ result: 'inside' })
      while (process.ppid === parent) Atomics.wait(never, 0, 0, 1_000)
      return state
    })
  },

  /** Enters an update of each sandbox, all at once; answers with the times of entry. */
  async enter({ contender, root, ids }) {
    const opened = await open(contender, root)
    return Promise.all(
      ids.map(async id => {
        let entered
        await opened.update(id, state => {
          entered = clock()
          return state
        })
        return entered
      }),
    )
  },
}

process.on('message', async ({ command, ...rest }) => {
  try {
    process.send({ result: await commands[command](rest) })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.on('disconnect', () => process.exit())
process.send({ result: 'ready' })

async function open(contender, root) {
  return (await loadContender(contender)).open(root)
}

/**
 * Repeats an operation until this process has used `ms` milliseconds of processor time, so that its code is compiled. A
 * process that mostly waits stops after ten times as long.
 */
async function spendOwnTime(operation, ms) {
  const start = process.cpuUsage()
  const spent = () => {
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  for (const end = performance.now() + 10 * ms; spent() < ms && performance.now() < end; ) {
    await spin(operation, ms / 10)
  }
}
