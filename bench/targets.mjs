// What the package promises itself, as ratios of one run.
import { P99_LIMIT } from './recovery.mjs'

const TMPFS = ['tmpfs']
const DISK = ['disk']
const BOTH = ['tmpfs', 'disk']

/** Each target: in words, on which filesystems, in which group and row, its limit, and how our row tells the value. */
const TARGETS = [
  atMost(
    'transition: time, times the floor',
    TMPFS,
    'transition',
    'transition',
    4.5,
    row => row.ratios.floor,
  ),
  atLeast(
    'transition: times faster than naive',
    TMPFS,
    'transition',
    'transition',
    15,
    row => 1 / row.ratios.naive,
  ),
  atMost(
    'transition, durable: time, times the floor',
    DISK,
    'transition',
    'transition',
    1.5,
    row => row.ratios.floor,
  ),
  atLeast(
    'transition, durable: times faster than naive',
    DISK,
    'transition',
    'transition',
    2,
    row => 1 / row.ratios.naive,
  ),
  atLeast(
    '64 at once: throughput, times one at a time',
    DISK,
    'at-once',
    'at once',
    4,
    row => row.facts.speedUp,
  ),
  below('64 at once: event-loop delay p99, ms', DISK, 'at-once', 'at once', 5, row => row.facts.loopDelayP99),
  atLeast(
    '8 processes, own sandboxes: throughput, share of the floor',
    BOTH,
    'own',
    '8 processes, own sandboxes',
    0.7,
    row => row.ratios.floor,
  ),
  ...[8, 32].flatMap(count => {
    const what = `${count} processes, one sandbox`
    return [
      atLeast(`${what}: throughput, times naive`, BOTH, 'shared', what, 8, row => row.ratios.naive),
      atLeast(
        `${what}: slowest process, part of the fair share`,
        BOTH,
        'shared',
        what,
        0.25,
        row => row.facts.slowestShare,
      ),
      below(`${what}: longest wait, ms`, BOTH, 'shared', what, 500, row => row.facts.longestWait),
    ]
  }),
  below(
    'recovery after kill -9: p99, ms',
    BOTH,
    'recovery',
    'kill -9 to next entry',
    P99_LIMIT,
    row => row.facts.p99,
  ),
  atMost('read: time, times readFileSync + JSON.parse', BOTH, 'read', 'read', 2, row => row.ratios.floor),
  atMost(
    'list 10,000: time, times readdir + readFileSync + JSON.parse',
    BOTH,
    'list',
    'list 10,000',
    1.8,
    row => row.ratios.floor,
  ),
  atMost(
    'list 10,000: longest stall of the event loop, ms',
    BOTH,
    'list',
    'list 10,000',
    20,
    row => row.facts.longestStall,
  ),
  atMost(
    'sandbox-state state ID: ms more than node -e 0',
    BOTH,
    'start',
    'sandbox-state state ID',
    60,
    row => row.facts.extra,
  ),
]

/** The targets whose rows were measured, each with what was measured. */
export function measureTargets(filesystems) {
  return TARGETS.flatMap(target =>
    filesystems
      .filter(({ kind }) => target.kinds.includes(kind))
      .flatMap(({ kind, filesystem, groups }) => {
        const rows = groups.find(({ name }) => name === target.group)?.rows ?? []
        const row = rows.find(({ what, contender }) => what === target.row && contender === 'ours')
        const value = row === undefined ? undefined : target.read(row)
        if (value === undefined || Number.isNaN(value)) return []
        const measured = Number(value.toPrecision(3))
        const { what, sign, limit } = target
        return [{ what, kind, filesystem, limit: `${sign} ${limit}`, measured, met: target.isMet(value) }]
      }),
  )
}

function atMost(what, kinds, group, row, limit, read) {
  return { what, kinds, group, row, limit, read, sign: '<=', isMet: value => value <= limit }
}

function atLeast(what, kinds, group, row, limit, read) {
  return { what, kinds, group, row, limit, read, sign: '>=', isMet: value => value >= limit }
}

function below(what, kinds, group, row, limit, read) {
  return { what, kinds, group, row, limit, read, sign: '<', isMet: value => value < limit }
}
