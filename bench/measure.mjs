import { median, quantile, ratioOf, rounded } from './statistics.mjs'

/**
 * Calls an operation again and again for so many ms.
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
 * Runs operations by turns, so that all meet the same machine: every round runs each of them for `time` ms, each
 * round in another order.
 * @param operations by contender
 * @returns measurements of the time of one call: a round's value is its median call, since a stall of a shared disk
 * would make a mean of what the neighbours do; p99 is of all calls
 */
export async function takeTurns(what, operations, { rounds, time }) {
  const names = Object.keys(operations)
  const medians = Object.fromEntries(names.map(name => [name, []]))
  const all = Object.fromEntries(names.map(name => [name, []]))
  // A program that runs for days has been compiled; it takes some thousand calls.
  for (const name of names) await spin(operations[name], time * 3)
  for (let round = 0; round < rounds; round++) {
    for (const name of turned(names, round)) {
      const durations = await spin(operations[name], time)
      medians[name].push(median(durations))
      for (const each of durations) all[name].push(each)
    }
  }
  const measured = names.map(name =>
    measurement(what, name, 'µs', medians[name], { p99: rounded(quantile(all[name], 0.99)) }),
  )
  return withRatios(measured)
}

/** So that no contender always follows the same one. */
export function turned(names, round) {
  const shift = round % names.length
  return [...names.slice(shift), ...names.slice(0, shift)]
}

/**
 * One line of a table.
 * @param what was done
 * @param unit `µs` or `ms` for each time, or `/s`
 * @param rounds one value of each round
 * @param facts other numbers that the row tells, named in table.mjs
 */
export function measurement(what, contender, unit, rounds, facts = {}) {
  return { what, contender, unit, value: rounded(median(rounds)), rounds: rounds.map(rounded), facts }
}

/** The longest stall of each round as a row tells it: the usual one, and the worst, in which the machine's other work may be. */
export function stalls(longest) {
  return { longestStall: rounded(median(longest)), worstStall: rounded(Math.max(...longest)) }
}

/**
 * Adds to each measurement what it is of the floor's and of naive's, where they did the same.
 * @param sameAs the name of the row that it is held against
 */
export function withRatios(measurements, sameAs = what => what) {
  return measurements.map(each => {
    const ratios = {}
    for (const base of ['floor', 'naive']) {
      const other = measurements.find(
        ({ what, contender }) => what === sameAs(each.what) && contender === base,
      )
      if (other !== undefined && other !== each) ratios[base] = rounded(ratioOf(each.rounds, other.rounds))
    }
    return { ...each, ratios }
  })
}
