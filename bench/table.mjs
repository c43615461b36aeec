// Results as tables: of plain text for a terminal, of Markdown for the documentation.

/** The other numbers of a row, in words and in this order. What is in brackets explains the one before it. */
const FACTS = {
  p99: (value, { unit }) => `p99 ${figure(value)} ${unit}`,
  longestWait: value => `longest wait ${figure(value)} ms`,
  slowestShare: value => `slowest process ${percent(value)} of a fair share`,
  speedUp: value => `${figure(value)} x one at a time`,
  cpu: value => `${figure(value)} µs of processor time each`,
  loopDelayP99: value => `event-loop delay p99 ${figure(value)} ms`,
  idleLoopDelayP99: value => `(idle ${figure(value)} ms)`,
  longestStall: value => `longest stall ${figure(value)} ms`,
  worstStall: value => `(worst round ${figure(value)} ms)`,
  memory: value => `memory +${figure(value)} MB`,
  kills: value => `${value} kills`,
  longest: (value, { unit }) => `longest ${figure(value)} ${unit}`,
  extra: value => `${figure(value)} ms more than node -e 0`,
}

const HEAD = ['', 'contender', 'median', 'spread', 'to the floor', 'to naive', '']

/** All of it, for a terminal. */
export function textOf(results) {
  const { machine } = results
  const parts = [machineLine(results)]
  for (const filesystem of results.filesystems) {
    parts.push(`${filesystem.kind} (${filesystem.filesystem}, ${filesystem.folder})`)
    const head = [HEAD]
    for (const group of filesystem.groups) head.push([], [group.title], ...rowsOf(group))
    parts.push(aligned(head))
  }
  if (results.targets.length > 0)
    parts.push(`Targets\n${aligned([TARGET_HEAD, ...targetRows(results.targets)])}`)
  parts.push(
    results.contenders.map(({ name, about, version }) => `${name} (${version}): ${about}`).join('\n'),
  )
  if (results.skipped.length > 0) parts.push(results.skipped.join('\n'))
  parts.push(
    `${results.seconds} s; load ${machine.load.join(' ')}, at the end ${results.loadAtEnd.join(' ')}`,
  )
  return `${parts.join('\n\n')}\n`
}

/** One table for each filesystem, in Markdown. */
export function markdownOf(filesystem) {
  const lines = [
    markdownRow(HEAD),
    markdownRow(HEAD.map((_, index) => (index > 1 && index < 6 ? '--:' : '---'))),
  ]
  for (const group of filesystem.groups) {
    lines.push(markdownRow([`**${group.title}**`, ...Array(HEAD.length - 1).fill('')]))
    for (const row of rowsOf(group)) lines.push(markdownRow(row))
  }
  return lines.join('\n')
}

const TARGET_HEAD = ['target', 'on', 'limit', 'measured', '']

export function targetsMarkdown(targets) {
  const lines = [markdownRow(TARGET_HEAD), markdownRow(['---', '---', '--:', '--:', '---'])]
  for (const row of targetRows(targets)) lines.push(markdownRow(row))
  return lines.join('\n')
}

export function machineLine({ date, machine, options }) {
  const { cpu, cores, memoryGB, kernel, node } = machine
  return (
    `${date.slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGB} GB, ${kernel}, Node ${node}; ` +
    `medians of ${options.rounds} rounds, in each of which all contenders take turns`
  )
}

function rowsOf({ rows }) {
  return rows.map(row => [
    row.what,
    row.contender,
    amount(row.value, row.unit),
    spread(row),
    comparison(row, 'floor'),
    comparison(row, 'naive'),
    factsOf(row),
  ])
}

function targetRows(targets) {
  return targets.map(({ what, filesystem, limit, measured, met }) => [
    what,
    filesystem,
    limit,
    figure(measured),
    met ? 'met' : 'missed',
  ])
}

/** From the quickest to the slowest round. */
function spread({ rounds }) {
  return rounds.length < 2 ? '' : `${figure(Math.min(...rounds))} - ${figure(Math.max(...rounds))}`
}

/** Times as multiples of the floor's time and as times faster than naive; rates as parts of the other's rate. */
function comparison({ unit, ratios }, base) {
  const ratio = ratios[base]
  if (ratio === undefined) return ''
  if (unit === '/s') return base === 'floor' ? percent(ratio) : `${figure(ratio)} x`
  if (base === 'floor') return `${figure(ratio)} x`
  return ratio <= 1 ? `${figure(1 / ratio)} x faster` : `${figure(ratio)} x slower`
}

function factsOf(row) {
  return Object.entries(FACTS)
    .filter(([name]) => row.facts[name] !== undefined)
    .map(([name, inWords]) => inWords(row.facts[name], row))
    .join(', ')
    .replaceAll(', (', ' (')
}

function amount(value, unit) {
  if (unit === 'µs' && value >= 10_000) return `${figure(value / 1000)} ms`
  return unit === '/s' ? `${figure(value)}/s` : `${figure(value)} ${unit}`
}

function percent(part) {
  return `${Math.round(part * 100)} %`
}

/** Three digits, or four of a large number, and thousands apart. */
function figure(value) {
  return Number(value.toPrecision(value >= 100 ? 4 : 3)).toLocaleString('en', { maximumFractionDigits: 2 })
}

/** Columns of equal width; a row of one cell is a heading. */
function aligned(rows) {
  const table = rows.filter(row => row.length > 1)
  const widths = table[0].map((_, column) => Math.max(...table.map(row => row[column].length)))
  return rows
    .map(row =>
      row.length === 1 ? row[0] : row.map((cell, column) => cell.padEnd(widths[column])).join('  '),
    )
    .map(line => line.trimEnd())
    .join('\n')
}

function markdownRow(cells) {
  return `| ${cells.join(' | ')} |`
}
