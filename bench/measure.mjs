import { median, quantile, ratioOf, rounded } from './statistics.mjs'

/** The time in ms on a clock that all processes of a machine share. */
export function clock() {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * Repeats an operation for `ms` milliseconds.
 * @returns the duration of each call in µs
 */
export async function spin(operation, ms) {
  const durations = []
  const end = performance.now() + ms
  for (let now = performance.now(); now < end; ) {
    const done = operation()
    if (done instanceof Promise) await done
    const then = now
    now = performance.now()
    durations.push((now - then) * 1000)
  }
  return durations
}

/**
 * Measures every task once in each round, so that all share the machine's good and bad times. The first task changes with
 * each round.
 * @returns for each task one sample a round
 */
export async function inTurns(tasks, rounds, measure) {
  const samples = new Map(tasks.map(task => [task, []]))
  for (let round = 0; round < rounds; round++) {
    const first = round % tasks.length
    for (const task of [...tasks.slice(first), ...tasks.slice(0, first)]) {
      samples.get(task).push(await measure(task))
    }
  }
  return samples
}

/**
 * Measures the time of one call of each contender's operation.
 * @param operations by contender
 * @returns a line for each. A round's value is its median call, since a mean would mostly show the stalls of a shared
 * disk; p99 is over all calls
 */
export async function timeCalls(what, operations, { rounds, time }) {
  const names = Object.keys(operations)
  // In a program that runs for days the code is compiled, which takes some thousand calls.
  for (const name of names) await spin(operations[name], time * 3)
  const samples = await inTurns(names, rounds, name => spin(operations[name], time))
  const lines = names.map(name => {
    const durations = samples.get(name)
    return line(what, name, 'µs', durations.map(median), { p99: rounded(quantile(durations.flat(), 0.99)) })
  })
  return withRatios(lines)
}

/**
 * One line of a table.
 * @param unit `µs` or `ms` for each time, or `/s`
 * @param rounds one value for each round
 * @param facts other figures, whose words are in table.mjs
 */
export function line(what, contender, unit, rounds, facts = {}) {
  return { what, contender, unit, value: rounded(median(rounds)), rounds: rounds.map(rounded), facts }
}

/** The longest stall of the event loop in the median round, and in the worst, which may be due to other programs. */
export function stalls(longest) {
  return { longestStall: rounded(median(longest)), worstStall: rounded(Math.max(...longest)) }
}

/**
 * Adds to each line its ratios to the same line of the floor, of naive and of SQLite.
 * @param sameAs the name to compare with where a contender has no line of the same name
 */
export function withRatios(lines, sameAs = what => what) {
  return lines.map(each => {
    const ratios = {}
    for (const base of ['floor', 'naive', 'sqlite']) {
      const lineOf = what => lines.find(other => other.what === what && other.contender === base)
      const other = lineOf(each.what) ?? lineOf(sameAs(each.what))
      if (other !== undefined && other !== each) ratios[base] = rounded(ratioOf(each.rounds, other.rounds))
    }
    return { ...each, ratios }
  })
}
