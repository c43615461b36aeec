import { setTimeout as sleep } from 'node:timers/promises'
import { clock, line } from '../measure.mjs'
import { startProcesses } from '../processes/pool.mjs'
import { median, quantile, rounded } from '../statistics.mjs'

/** How long a sandbox stays locked after its holder is killed: from SIGKILL until a waiting process is inside. */
export const recovery = {
  name: 'recovery',
  title: 'A holder is killed (kill -9): until the next one is inside',
  on: ['tmpfs', 'disk'],
  async measure(context) {
    const ours = []
    for (let round = 0; round < context.rounds; round++) ours.push(await killHolders(context, 'ours'))
    // Only once: each kill takes seconds, until the dead holder's lock is stale.
    const naive = [await killHolders(context, 'naive')]
    return [lineOf('ours', ours), lineOf('naive', naive)]
  },
}

function lineOf(contender, rounds) {
  const all = rounds.flat()
  const facts = { p99: rounded(quantile(all, 0.99)), kills: all.length, longest: rounded(Math.max(...all)) }
  return { ...line('kill -9 to next entry', contender, 'ms', rounds.map(median), facts), ratios: {} }
}

/** @returns for each kill the time to the next entry, in ms */
async function killHolders({ contenders, folder, kills }, contender) {
  const root = folder(contender)
  const ids = Array.from({ length: kills }, (_, index) => `recovery-${index}`)
  await makeAll(contenders[contender], root, ['warm-up', ...ids])
  const pool = await startProcesses(ids.length + 1)
  try {
    await pool.askAll(ids.map(id => ({ command: 'hold', contender, root, id })))
    const waiter = ids.length
    await pool.ask(waiter, { command: 'enter', contender, root, ids: ['warm-up'] })
    const entered = pool.ask(waiter, { command: 'enter', contender, root, ids })
    await sleep(100) // By now it polls at its longest interval.
    const killed = []
    for (const index of ids.keys()) {
      await sleep(30 + Math.random() * 20) // The process killed before has fully ended by then.
      killed.push(clock())
      pool.kill(index)
    }
    return (await entered).map((time, index) => time - killed[index])
  } finally {
    pool.kill()
  }
}

async function makeAll(contender, root, ids) {
  const opened = await contender.open(root)
  for (const id of ids) await opened.create(id)
  await opened.close()
}
