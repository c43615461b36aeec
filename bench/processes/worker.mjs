// One of several processes: opens the contenders that it is told to, and calls them while the others do so, too.
import { backAndForth, loadContender } from '../contenders.mjs'
import { spin } from '../measure.mjs'

const open = new Map()

const commands = {
  async open({ key, contender, root, id, what, warmUp }) {
    const opened = await (await loadContender(contender)).open(root)
    const operation = what === 'transition' ? backAndForth(opened, id) : () => opened.increment(id)
    open.set(key, { opened, operation })
    await spendOwnTime(operation, warmUp)
  },
  async run({ key, ms }) {
    const { operation } = open.get(key)
    const start = performance.now()
    const durations = await spin(operation, ms)
    const seconds = (performance.now() - start) / 1000
    return { count: durations.length, seconds, longest: Math.max(...durations) / 1000 }
  },
  async close({ key }) {
    await open.get(key).opened.close()
    open.delete(key)
  },
}

process.on('message', async ({ command, ...rest }) => {
  try {
    process.send({ result: (await commands[command](rest)) ?? null })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.on('disconnect', () => process.exit())
process.send({ result: 'ready' })

/**
 * Calls an operation until this process has had so many ms of processor time: how often its code ran decides whether it
 * is compiled, not how much time passed while others ran. A process that mostly waits gives up in the end.
 */
async function spendOwnTime(operation, ms) {
  const start = process.cpuUsage()
  const spent = () => {
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  for (const end = performance.now() + 20 * ms; spent() < ms && performance.now() < end; ) {
    await spin(operation, ms / 10)
  }
}
