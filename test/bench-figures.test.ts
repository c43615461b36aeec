import { expect, test } from 'vitest'
import { inTurns, line, withRatios } from '../bench/measure.mjs'
import { plotOf } from '../bench/plot.mjs'
import { median, quantile, ratioOf, rounded } from '../bench/statistics.mjs'
import { markdownOf } from '../bench/table.mjs'
import { measureTargets } from '../bench/targets.mjs'

// What the benchmark makes of what it has measured: here a mistake would be a wrong figure in the documentation.

test('a quantile lies between its two neighbours, in proportion', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([10, 1, 2, 3])).toBe(2.5)
  expect(quantile([0, 100], 0.99)).toBe(99)
  expect(quantile([5], 0.99)).toBe(5)
  expect(median([])).toBeNaN()
})

test('a ratio is the median of those within each round, so that a slow round does not count on one side only', () => {
  expect(ratioOf([2, 4, 200], [1, 2, 100])).toBe(2)
  expect(ratioOf([2, 30, 3], [1, 10, 2])).toBe(2)
})

test('figures have four digits', () => {
  expect([123_456, 1.000_04, 0.123_456].map(rounded)).toEqual([123_500, 1, 0.1235])
})

test('in each round the order is another one, and every task is measured', async () => {
  const order: string[] = []
  const samples = await inTurns(['a', 'b', 'c'], 4, (task: string) => order.push(task))
  expect(order.join('')).toBe('abc' + 'bca' + 'cab' + 'abc')
  expect([...samples]).toEqual([
    ['a', [1, 6, 8, 10]],
    ['b', [2, 4, 9, 11]],
    ['c', [3, 5, 7, 12]],
  ])
})

const times = withRatios([
  line('transition', 'floor', 'µs', [10, 20], { p99: 30 }),
  line('transition', 'naive', 'µs', [400, 800], { p99: 900 }),
  line('transition', 'ours', 'µs', [60, 120], { p99: 50 }),
  line('transition', 'lmdb', 'µs', [5, 10], { p99: 11 }),
])
const rates = withRatios([
  line('8 processes, one sandbox', 'naive', '/s', [100]),
  line('8 processes, one sandbox', 'ours', '/s', [1_234], { slowestShare: 0.2, longestWait: 499 }),
])
const ratesAtOnce = withRatios(
  [
    line('64 one at a time', 'floor', '/s', [40]),
    line('64 one at a time', 'sqlite', '/s', [20]),
    line('64 at once', 'ours', '/s', [30], {
      worstStall: 9,
      longestStall: 8,
      idleLoopDelayP99: 0.1,
      loopDelayP99: 7,
      speedUp: 4.9,
    }),
  ],
  () => '64 one at a time',
)
const starts = [line('import of index.js', 'ours', 'ms', [100], { extra: 50 })]
const machine = { node: 'v22.12.0', compileCache: true }
const memory = {
  title: 'tmpfs',
  kind: 'memory',
  filesystem: 'tmpfs',
  rows: [
    { name: 'transition', title: 'Transitions', lines: times },
    { name: 'shared', title: 'Shared', lines: rates },
  ],
}
const xfs = {
  title: 'xfs image',
  kind: 'disk',
  filesystem: 'xfs',
  rows: [
    { name: 'transition', title: 'Transitions', lines: [], error: 'not available: needs root' },
    { name: 'at-once', title: 'At once', lines: ratesAtOnce },
    { name: 'start', title: 'Start', lines: starts.map(each => ({ ...each, ratios: {} })) },
  ],
}

test('a table holds times against the floor as multiples and against naive as times faster, and rates as parts', () => {
  const lines = [memory, xfs].flatMap(place => markdownOf(place).split('\n'))
  for (const text of [
    '| transition | floor | 15 µs | 10 - 20 |  | 40 x faster |  | p99 30 µs |',
    '| transition | naive | 600 µs | 400 - 800 | 40 x |  |  | p99 900 µs |',
    '| transition | ours | 90 µs | 60 - 120 | 6 x | 6.67 x faster |  | p99 50 µs |',
    '| 8 processes, one sandbox | ours | 1,234/s |  |  | 12.3 x |  | longest wait 499 ms, slowest process 20 % of a fair share |',
    '| 64 at once | ours | 30/s |  | 75 % |  | 1.5 x | 4.9 x one at a time, event-loop delay p99 7 ms (idle 0.1 ms), longest stall 8 ms (worst round 9 ms) |',
    '| not available: needs root |  |  |  |  |  |  |  |',
  ]) {
    expect(lines).toContain(text)
  }
})

test('a target is met or missed by what was measured of ours, or says why nothing was', () => {
  const found = measureTargets([memory, xfs], machine).map(({ what, on, limit, measured, result }) =>
    [what, on, limit, measured ?? '-', result].join(', '),
  )
  expect(found).toEqual([
    'transition: time, times the floor, tmpfs, <= 5.5, 6, missed',
    'transition: time, times the floor, xfs image, <= 1.4, -, not available: needs root',
    '8 processes, one sandbox: throughput, times naive, tmpfs, >= 3, 12.3, met',
    '8 processes, one sandbox: slowest process, part of a fair share, tmpfs, >= 0.25, 0.2, missed',
    '8 processes, one sandbox: longest wait, ms, tmpfs, < 500, 499, met',
    '64 at once: throughput, times one at a time, xfs image, >= 5, 4.9, missed',
    '64 at once: throughput, times that of 64 transactions of SQLite, xfs image, > 1, 1.5, met',
    '64 at once: event-loop delay p99, ms, xfs image, < 10, 7, met',
    'import of index.js: ms more than an empty module, xfs image, <= 60, 50, met',
  ])
  expect(measureTargets([{ ...memory, rows: [] }], machine)).toEqual([])
})

test('the targets of 64 at once are those of the filesystem', () => {
  const limits = ['ext4', 'xfs', 'btrfs', 'ext4 without a journal', 'overlay'].map(filesystem =>
    measureTargets([{ ...xfs, filesystem }], machine)
      .filter(({ what }) => what.startsWith('64 at once: throughput'))
      .map(({ limit }) => limit),
  )
  expect(limits).toEqual([['>= 8', '> 1'], ['>= 5', '> 1'], ['>= 4', '> 1'], ['>= 2'], []])
})

test('without SQLite, or without a compile cache, the targets that need them are not judged', () => {
  const lines = ratesAtOnce.map((each: object) => ({ ...each, ratios: { floor: 1 } }))
  const rows = xfs.rows.map(row => (row.name === 'at-once' ? { ...row, lines } : row))
  const results = measureTargets([{ ...xfs, rows }], { node: 'v20.19.0', compileCache: false })
  expect(results.find(({ what }) => what.includes('SQLite'))).toMatchObject({ result: 'not measured' })
  expect(results.find(({ what }) => what.includes('import'))).toMatchObject({
    measured: 50,
    result: 'for a Node with a compile cache, not v20.19.0',
  })
})

test('the picture shows each contender of a row once, ours above all others', () => {
  const svg = plotOf({ places: [memory] }) ?? ''
  const marks = [...svg.matchAll(/<title>([^<]+: [^<]+)<\/title>/g)].map(([, label]) => label)
  expect(marks).toEqual(['floor: 15 µs', 'naive: 600 µs', 'lmdb: 7.5 µs', 'sandbox-state: 90 µs'])
  expect(plotOf({ places: [{ ...memory, rows: [] }] })).toBeUndefined()
})
