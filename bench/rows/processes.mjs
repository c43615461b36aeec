import { measurement, turned, withRatios } from '../measure.mjs'

/** SQLite is measured with this many processes only, to keep the whole short. */
const SQLITE = { name: 'sqlite', at: 8 }

/** Several processes make lmdb fail now and then: with MDB_BAD_TXN, or by a read that does not see the change before. */
const ALONE = ['lmdb']

// Several processes at once, all the time at work.

export const own = {
  name: 'own',
  title: 'Several processes, each with a sandbox of its own: transitions, all together',
  async run(context) {
    const counts = context.processes.filter(count => count <= 8)
    const names = Object.keys(context.contenders).filter(name => !ALONE.includes(name))
    const ms = context.time * 3
    return runAll(context, {
      counts,
      names,
      ms,
      where: 'own sandboxes',
      what: 'transition',
      idOf: index => `own-${index}`,
    })
  },
}

export const shared = {
  name: 'shared',
  title: 'Several processes, all on one sandbox: updates, all together',
  async run(context) {
    // Without a lock the floor would lose updates, and `locked` does not wait for one: there is nothing to compare.
    const out = ['floor', 'locked', ...ALONE]
    const names = Object.keys(context.contenders).filter(name => !out.includes(name))
    // Long enough for a wait of half a second to be seen.
    const ms = context.time * 8
    const counts = context.processes
    return runAll(context, {
      counts,
      names,
      ms,
      where: 'one sandbox',
      what: 'increment',
      idOf: () => 'shared',
    })
  },
}

async function runAll(context, { counts, names, ms, where, what, idOf }) {
  const { pool } = context
  const most = Math.max(0, ...counts)
  const openedBy = name => (name === SQLITE.name ? Math.min(most, SQLITE.at) : most)
  await pool.grow(most)
  const roots = await prepare(context, names, most, idOf)
  const measured = []
  try {
    for (const name of names) {
      const told = index => ({
        command: 'open',
        key: name,
        contender: name,
        root: roots[name],
        what,
        id: idOf(index),
        warmUp: context.time * 4,
      })
      await pool.tell(Array.from({ length: openedBy(name) }, (_, index) => told(index)))
    }
    for (const count of counts) {
      const taking = names.filter(name => name !== SQLITE.name || count === SQLITE.at)
      measured.push(...(await runCount(context, taking, count, ms, `${count} processes, ${where}`)))
    }
    for (const name of names) {
      await pool.tell(Array.from({ length: openedBy(name) }, () => ({ command: 'close', key: name })))
    }
  } catch (error) {
    pool.kill()
    throw error
  }
  return measured
}

/** Every sandbox is running when the processes come. */
async function prepare(context, names, most, idOf) {
  const roots = {}
  for (const name of names) {
    roots[name] = context.folder(name)
    const opened = await context.contenders[name].open(roots[name])
    for (const id of new Set(Array.from({ length: most }, (_, index) => idOf(index)))) {
      await opened.create(id)
      await opened.transition(id, 'ready', 'running')
    }
    await opened.close()
  }
  return roots
}

async function runCount({ pool, rounds }, names, count, ms, what) {
  const runs = Object.fromEntries(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of turned(names, round)) {
      const message = { command: 'run', key: name, ms }
      runs[name].push(await pool.tell(Array.from({ length: count }, () => message)))
    }
  }
  return withRatios(
    names.map(name => measurement(what, name, '/s', runs[name].map(throughput), facts(runs[name]))),
  )
}

function throughput(reports) {
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
