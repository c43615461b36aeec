import { measurement } from '../measure.mjs'
import { killHolders } from '../recovery.mjs'
import { quantile, rounded } from '../statistics.mjs'

const KILLS_PER_ROUND = 8

/** How long after kill -9 of a holder the next one is inside, having waited for it for a while. */
export const recovery = {
  name: 'recovery',
  title: 'A holder is killed (kill -9): until the next one is inside',
  async run(context) {
    const rounds = []
    for (let round = 0; round < context.rounds; round++) {
      rounds.push(await killHolders(context.folder('recovery'), 'ours', KILLS_PER_ROUND))
    }
    const all = rounds.flat()
    const medians = rounds.map(times => quantile(times, 0.5))
    const facts = {
      kills: all.length,
      p99: rounded(quantile(all, 0.99)),
      longest: rounded(Math.max(...all)),
    }
    return [{ ...measurement('kill -9 to next entry', 'ours', 'ms', medians, facts), ratios: {} }]
  },
}
