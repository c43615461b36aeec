// The performance targets of the package, as ratios within one run.

const IS_MET = {
  '<=': (value, limit) => value <= limit,
  '>=': (value, limit) => value >= limit,
  '<': (value, limit) => value < limit,
  '>': (value, limit) => value > limit,
}

const toFloor = ({ ratios }) => ratios.floor
const toNaive = ({ ratios }) => ratios.naive
const toSqlite = ({ ratios }) => ratios.sqlite
const fact =
  name =>
  ({ facts }) =>
    facts[name]
const everywhere = limit => ({ memory: limit, disk: limit })

/** Each limit is for a filesystem, or for all in memory (`memory`) or on a disk (`disk`). */
const TARGETS = [
  ...targetsOf('transition', 'transition', {
    'time, times the floor': [toFloor, '<=', { memory: 5.5, disk: 1.4 }],
  }),
  ...targetsOf('read', 'read', {
    'time, times readFileSync + JSON.parse': [toFloor, '<=', everywhere(1.6)],
  }),
  ...targetsOf('own', '8 processes, own sandboxes', {
    'throughput, share of the floor': [toFloor, '>=', { memory: 0.25, disk: 0.7 }],
  }),
  ...[8, 32].flatMap(count =>
    targetsOf('shared', `${count} processes, one sandbox`, {
      'throughput, times naive': [toNaive, '>=', everywhere(3)],
      'slowest process, part of a fair share': [fact('slowestShare'), '>=', everywhere(0.25)],
      'longest wait, ms': [fact('longestWait'), '<', everywhere(500)],
    }),
  ),
  ...targetsOf('at-once', '64 at once', {
    'throughput, times one at a time': [
      fact('speedUp'),
      '>=',
      { ext4: 8, xfs: 5, btrfs: 4, 'ext4 without a journal': 2 },
    ],
    'throughput, times that of 64 transactions of SQLite': [toSqlite, '>', { ext4: 1, xfs: 1, btrfs: 1 }],
    'event-loop delay p99, ms': [fact('loopDelayP99'), '<', { disk: 10 }],
  }),
  ...targetsOf('list', 'list 10,000', {
    'time, times readdir + readFileSync + JSON.parse': [toFloor, '<=', everywhere(1.6)],
    'longest stall of the event loop, ms': [fact('longestStall'), '<=', everywhere(20)],
  }),
  ...targetsOf('recovery', 'kill -9 to next entry', {
    'p99, ms': [fact('p99'), '<', everywhere(50)],
  }),
  ...targetsOf('start', 'import of index.js', {
    'ms more than an empty module': [fact('extra'), '<=', everywhere(60)],
  }),
  ...targetsOf('start', 'sandbox-state state ID', {
    'ms more than node -e 0': [fact('extra'), '<=', everywhere(60)],
  }),
]

function targetsOf(row, line, targets) {
  return Object.entries(targets).map(([what, [read, sign, limits]]) => {
    return { row, line, what: `${line}: ${what}`, read, sign, limits }
  })
}

/**
 * Compares our results with the targets of the chosen rows.
 * @param machine from machineFacts()
 * @returns `{ what, on, limit, measured, result }` for each target and place, without `measured` if there was no measurement
 */
export function measureTargets(places, machine) {
  return TARGETS.flatMap(target => places.flatMap(place => measureTarget(target, place, machine)))
}

function measureTarget({ row: rowName, line: lineName, what, read, sign, limits }, place, machine) {
  const limit = limits[place.filesystem] ?? limits[place.kind]
  const row = place.rows.find(({ name }) => name === rowName)
  if (limit === undefined || row === undefined) return []
  const target = { what, on: place.title, limit: `${sign} ${limit}` }
  if (row.error !== undefined) return [{ ...target, result: row.error }]
  const line = row.lines.find(each => each.what === lineName && each.contender === 'ours')
  // A quick run has fewer processes and sandboxes, and no such line.
  if (line === undefined) return []
  const value = read(line)
  if (value === undefined) return [{ ...target, result: 'not measured' }]
  return [{ ...target, measured: Number(value.toPrecision(3)), result: resultOf() }]

  function resultOf() {
    if (rowName === 'start' && !machine.compileCache) {
      return `for a Node with a compile cache, not ${machine.node}`
    }
    return IS_MET[sign](value, limit) ? 'met' : 'missed'
  }
}
