import { expect, test } from 'vitest'
import { measurement, turned, withRatios } from '../bench/measure.mjs'
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

test('in each round the order is another one, and everybody is in it', () => {
  expect([0, 1, 2, 3].map(round => turned(['a', 'b', 'c'], round).join(''))).toEqual([
    'abc',
    'bca',
    'cab',
    'abc',
  ])
})

const times = withRatios([
  measurement('transition', 'floor', 'µs', [10, 20], { p99: 30 }),
  measurement('transition', 'naive', 'µs', [400, 800], { p99: 900 }),
  measurement('transition', 'ours', 'µs', [20, 40], { p99: 50 }),
  measurement('transition', 'lmdb', 'µs', [5, 10], { p99: 11 }),
])
const rates = withRatios([
  measurement('8 processes, one sandbox', 'naive', '/s', [100]),
  measurement('8 processes, one sandbox', 'ours', '/s', [1_234], { slowestShare: 0.2, longestWait: 499 }),
])
const ratesAtOnce = [
  measurement('at once', 'ours', '/s', [10], {
    worstStall: 9,
    longestStall: 8,
    idleLoopDelayP99: 0.1,
    loopDelayP99: 7,
  }),
]
const filesystem = {
  kind: 'tmpfs',
  filesystem: 'ramfs',
  groups: [
    { name: 'transition', title: 'Transitions', rows: times },
    { name: 'shared', title: 'Shared', rows: rates },
    { name: 'at-once', title: 'At once', rows: ratesAtOnce.map(row => ({ ...row, ratios: {} })) },
  ],
}

test('a table holds times against the floor as multiples and against naive as times faster, and rates as parts', () => {
  const lines = markdownOf(filesystem).split('\n')
  for (const line of [
    '| transition | floor | 15 µs | 10 - 20 |  | 40 x faster | p99 30 µs |',
    '| transition | naive | 600 µs | 400 - 800 | 40 x |  | p99 900 µs |',
    '| transition | ours | 30 µs | 20 - 40 | 2 x | 20 x faster | p99 50 µs |',
    '| 8 processes, one sandbox | ours | 1,234/s |  |  | 12.3 x | longest wait 499 ms, slowest process 20 % of a fair share |',
    '| at once | ours | 10/s |  |  |  | event-loop delay p99 7 ms (idle 0.1 ms), longest stall 8 ms (worst round 9 ms) |',
  ]) {
    expect(lines).toContain(line)
  }
})

test('a target is met or missed by what was measured of ours, on the filesystems that it is for', () => {
  const found = measureTargets([filesystem]).map(({ what, measured, met }) => [what, measured, met])
  expect(found).toEqual([
    ['transition: time, times the floor', 2, true],
    ['transition: times faster than naive', 20, true],
    ['8 processes, one sandbox: throughput, times naive', 12.3, true],
    ['8 processes, one sandbox: slowest process, part of the fair share', 0.2, false],
    ['8 processes, one sandbox: longest wait, ms', 499, true],
  ])
  expect(measureTargets([{ ...filesystem, groups: [] }])).toEqual([])
})

test('the picture shows each contender of a row once, ours above all others', () => {
  const svg = plotOf({ filesystems: [filesystem] }) ?? ''
  const marks = [...svg.matchAll(/<title>([^<]+: [^<]+)<\/title>/g)].map(([, label]) => label)
  expect(marks).toEqual(['floor: 15 µs', 'naive: 600 µs', 'lmdb: 7.5 µs', 'sandbox-state: 30 µs'])
  expect(plotOf({ filesystems: [{ ...filesystem, groups: [] }] })).toBeUndefined()
})
