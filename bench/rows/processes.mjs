import { makeRunning } from '../contenders.mjs'
import { inTurns, line, withRatios } from '../measure.mjs'
import { startProcesses } from '../processes/pool.mjs'

// Several processes at once, all busy all the time. LMDB is left out: with several processes it sometimes fails with
// MDB_BAD_TXN, or a read misses the change before it.

export const own = {
  name: 'own',
  title: 'Several processes, each with a sandbox of its own: transitions, all together',
  on: ['tmpfs', 'disk'],
  measure: context =>
    measureProcesses(context, {
      counts: context.own,
      names: ['floor', 'locked', 'naive', 'ours', 'sqlite'],
      ms: context.time * 3,
      where: 'own sandboxes',
      what: 'transition',
      idOf: index => `own-${index}`,
    }),
}

export const shared = {
  name: 'shared',
  title: 'Several processes, all on one sandbox: updates, all together',
  on: ['tmpfs', 'disk'],
  measure: context =>
    measureProcesses(context, {
      counts: context.shared,
      // The floor has no lock and would lose updates; `locked` does not wait for its lock.
      names: ['naive', 'ours', 'sqlite'],
      // Long enough to see a wait of half a second.
      ms: context.time * 8,
      where: 'one sandbox',
      what: 'increment',
      idOf: () => 'shared',
    }),
}

async function measureProcesses(context, { counts, names, ms, where, what, idOf }) {
  const present = names.filter(name => context.contenders[name] !== undefined)
  const ids = Array.from({ length: Math.max(...counts) }, (_, index) => idOf(index))
  const pool = await startProcesses(ids.length)
  try {
    for (const name of present) {
      const root = await prepare(context, name, new Set(ids))
      const warmUp = context.time * 4
      await pool.askAll(ids.map(id => ({ command: 'open', contender: name, root, id, what, warmUp })))
    }
    const lines = []
    for (const count of counts) {
      const runs = await inTurns(present, context.rounds, name =>
        pool.askAll(Array(count).fill({ command: 'run', contender: name, ms })),
      )
      for (const [name, rounds] of runs) {
        lines.push(line(`${count} processes, ${where}`, name, '/s', rounds.map(throughput), facts(rounds)))
      }
    }
    return withRatios(lines)
  } finally {
    pool.kill()
  }
}

/** Makes the sandboxes, all running, before the processes open them. */
async function prepare({ contenders, folder }, name, ids) {
  const root = folder(name)
  const opened = await contenders[name].open(root)
  await makeRunning(opened, ids)
  await opened.close()
  return root
}

/** All calls a second of processes that ran at the same time. */
export function throughput(reports) {
  return reports.reduce((sum, { count, seconds }) => sum + count / seconds, 0)
}

function facts(rounds) {
  const counts = rounds[0].map((_, index) => rounds.reduce((sum, round) => sum + round[index].count, 0))
  const fair = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return {
    longestWait: Math.max(...rounds.flat().map(({ longest }) => longest)),
    slowestShare: Math.min(...counts) / fair,
  }
}
