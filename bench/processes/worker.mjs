// One of several processes: opens the contenders that it is told to, and calls them while the others do too.
import { loadContender } from '../contenders.mjs'
import { spin } from '../measure.mjs'

/** All processes together: with 32 of them that is not much for each. */
const WARM_UP_MS = 300

const open = new Map()

const commands = {
  async open({ key, contender, root, id, what }) {
    const opened = await (await loadContender(contender)).open(root)
    const operation = what === 'transition' ? backAndForth(opened, id) : () => opened.increment(id)
    open.set(key, { opened, operation })
    await spin(operation, WARM_UP_MS)
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

function backAndForth(opened, id) {
  let [from, to] = ['running', 'paused']
  return async () => {
    await opened.transition(id, from, to)
    ;[from, to] = [to, from]
  }
}
