import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { measurement } from '../measure.mjs'
import { quantile, rounded } from '../statistics.mjs'

const HOLDER = fileURLToPath(new URL('../processes/holder.mjs', import.meta.url))
const KILLS_PER_ROUND = 6

/** How long after kill -9 of a holder the next one is inside, having waited for it for a while. */
export const recovery = {
  name: 'recovery',
  title: 'A holder is killed (kill -9): until the next one is inside',
  async run(context) {
    const root = context.folder('recovery')
    const { store, ...opened } = await context.contenders.ours.open(root)
    try {
      await opened.create('held')
      await opened.increment('held') // Loads what an update needs.
      const rounds = []
      for (let round = 0; round < context.rounds; round++) {
        const times = []
        for (let kill = 0; kill < KILLS_PER_ROUND; kill++) times.push(await oneKill(root, store))
        rounds.push(times)
      }
      const all = rounds.flat()
      const medians = rounds.map(times => quantile(times, 0.5))
      const facts = {
        kills: all.length,
        p99: rounded(quantile(all, 0.99)),
        longest: rounded(Math.max(...all)),
      }
      return [{ ...measurement('kill -9 to next entry', 'ours', 'ms', medians, facts), ratios: {} }]
    } finally {
      await opened.close()
    }
  },
}

async function oneKill(root, store) {
  const holder = spawn(process.execPath, [HOLDER, root, 'held'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await once(holder.stdout, 'data', { signal: AbortSignal.timeout(60_000) })
    let entered = 0
    const next = store.update('held', state => {
      entered = performance.now()
      return state
    })
    await sleep(20 + Math.random() * 60)
    if (entered !== 0) throw new Error('two were inside at once')
    const killed = performance.now()
    holder.kill('SIGKILL')
    await next
    return entered - killed
  } finally {
    holder.kill('SIGKILL')
  }
}
