/** One call of an object that several processes share: it took effect at one instant between its start and its end. */
export interface Operation<Input, Output> {
  /** On one clock for all processes. */
  readonly start: number
  readonly end: number
  readonly input: Input
  /** Undefined when the caller was killed before it heard: the call took effect by `end`, or never. */
  readonly output: Output | undefined
}

/** What the object is when only one process uses it. */
export interface Model<State, Input, Output> {
  readonly initial: State
  /**
   * The state after a call that gave this output; undefined when no such output can come of it in that state.
   * For an output that nobody heard, the state after the call's effect.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined
  /** Tells states apart. */
  key(state: State): string
}

/** Why a history is not linearizable: after all operations before them, none of these can have come next. */
interface Stuck<Input, Output> {
  readonly done: number
  readonly states: readonly string[]
  readonly candidates: readonly Operation<Input, Output>[]
}

/** Some operations in one order, and the state to which they lead. */
interface Reached<State> {
  /** All operations before this one, in the order of their starts, are among them. */
  readonly low: number
  /** The others among them, ascending. */
  readonly beyond: readonly number[]
  readonly state: State
}

/**
 * Whether operations can be put in one order, in which each of them comes between its start and its end, and gives
 * what it gave. The search is Wing and Gong's (1993), depth first: next may come any operation left that starts before all
 * others left have ended. It remembers where it was, as Lowe's (2017) does.
 * @returns undefined when they can, the farthest that it came when not
 */
export function findViolation<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): Stuck<Input, Output> | undefined {
  const sorted = operations.toSorted((a, b) => a.start - b.start)
  const seen = new Set<string>()
  const open: Reached<State>[] = [{ low: 0, beyond: [], state: model.initial }]
  let farthest = 0
  let stuck: Reached<State>[] = []
  for (let reached = open.pop(); reached !== undefined; reached = open.pop()) {
    const { low, beyond, state } = reached
    if (low === sorted.length) return undefined
    const key = `${low} ${beyond.join(' ')} ${model.key(state)}`
    if (seen.has(key)) continue
    seen.add(key)
    const done = low + beyond.length
    if (done > farthest) [farthest, stuck] = [done, []]
    if (done === farthest) stuck.push(reached)
    // The first to start is taken up first: it is the most likely one.
    for (const next of candidates(sorted, reached).reverse()) {
      const operation = sorted[next]
      if (operation === undefined) continue
      const { input, output } = operation
      const after = model.step(state, input, output)
      if (output === undefined) open.push(advance(reached, next, state))
      if (after !== undefined) open.push(advance(reached, next, after))
    }
  }
  const first = stuck[0]
  return {
    done: farthest,
    states: [...new Set(stuck.map(({ state }) => model.key(state)))],
    candidates: first === undefined ? [] : candidates(sorted, first).flatMap(i => sorted[i] ?? []),
  }
}

/** The operations left that start before any other of them has ended. */
function candidates<Input, Output>(
  sorted: readonly Operation<Input, Output>[],
  { low, beyond }: Reached<unknown>,
): number[] {
  const found: number[] = []
  let firstEnd = Number.POSITIVE_INFINITY
  for (let i = low; i < sorted.length; i++) {
    const operation = sorted[i]
    if (operation === undefined || operation.start > firstEnd) break
    if (beyond.includes(i)) continue
    found.push(i)
    firstEnd = Math.min(firstEnd, operation.end)
  }
  // Ends may come before the starts of operations that were taken in before them.
  return found.filter(i => (sorted[i]?.start ?? 0) <= firstEnd)
}

function advance<State>({ low, beyond }: Reached<State>, done: number, state: State): Reached<State> {
  if (done !== low) return { low, beyond: [...beyond, done].sort((a, b) => a - b), state }
  let next = low + 1
  const rest = [...beyond]
  while (rest[0] === next) {
    rest.shift()
    next++
  }
  return { low: next, beyond: rest, state }
}
