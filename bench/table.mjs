// Results as tables: plain text for a terminal, Markdown for the documentation.

/** The other figures of a line, in words and in this order. A figure in parentheses explains the one before it. */
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
  extra: value => `${figure(value)} ms more`,
}

const HEAD = ['', 'contender', 'median', 'spread', 'to the floor', 'to naive', 'to SQLite', '']
const TARGET_HEAD = ['target', 'on', 'limit', 'measured', '']

/** All results, for a terminal. */
export function textOf(results) {
  const { places, targets, contenders, missing, machine, loadAtEnd, seconds } = results
  const tables = places.map(({ title, rows }) => {
    const lines = rows.flatMap(row => [[], [row.title], ...linesOf(row)])
    return `${title}\n${aligned([HEAD, ...lines])}`
  })
  const parts = [
    machineLine(results),
    ...tables,
    ...(targets.length === 0 ? [] : [`Targets\n${aligned([TARGET_HEAD, ...targets.map(targetLine)])}`]),
    contenders.map(({ name, about, version }) => `${name} (${version}): ${about}`).join('\n'),
    ...(missing.length === 0 ? [] : [missing.join('\n')]),
    `${seconds} s; load ${machine.load.join(' ')}, at the end ${loadAtEnd.join(' ')}`,
  ]
  return `${parts.join('\n\n')}\n`
}

/** The table of one place, in Markdown. */
export function markdownOf({ rows }) {
  const lines = rows.flatMap(row => [
    [`**${row.title}**`, ...Array(HEAD.length - 1).fill('')],
    ...linesOf(row).map(cells => cells.concat(Array(HEAD.length - cells.length).fill(''))),
  ])
  const alignment = HEAD.map(title => (title === '' || title === 'contender' ? '---' : '--:'))
  return [HEAD, alignment, ...lines].map(markdownLine).join('\n')
}

export function targetsMarkdown(targets) {
  const alignment = ['---', '---', '--:', '--:', '---']
  return [TARGET_HEAD, alignment, ...targets.map(targetLine)].map(markdownLine).join('\n')
}

export function machineLine({ date, machine, rounds }) {
  const { cpu, cores, memoryGB, kernel, node } = machine
  return (
    `${date.slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGB} GB, ${kernel}, Node ${node}; ` +
    (rounds === 1
      ? 'one round only'
      : `medians of ${rounds} rounds, in each of which all contenders take turns`)
  )
}

/** The cells of each line; for a row that was not measured, only the reason. */
function linesOf({ lines, error }) {
  if (error !== undefined) return [[error]]
  return lines.map(line => [
    line.what,
    line.contender,
    amount(line.value, line.unit),
    spread(line),
    comparison(line, 'floor'),
    comparison(line, 'naive'),
    comparison(line, 'sqlite'),
    factsOf(line),
  ])
}

function targetLine({ what, on, limit, measured, result }) {
  return [what, on, limit, measured === undefined ? '' : figure(measured), result]
}

/** From the quickest to the slowest round. */
function spread({ rounds }) {
  return rounds.length < 2 ? '' : `${figure(Math.min(...rounds))} - ${figure(Math.max(...rounds))}`
}

/** A time as a multiple of the floor's, or as times faster than another; a rate as a share of the floor's, or as a multiple. */
function comparison({ unit, ratios }, base) {
  const ratio = ratios[base]
  if (ratio === undefined) return ''
  if (unit === '/s') return base === 'floor' ? percent(ratio) : `${figure(ratio)} x`
  if (base === 'floor') return `${figure(ratio)} x`
  return ratio <= 1 ? `${figure(1 / ratio)} x faster` : `${figure(ratio)} x slower`
}

function factsOf(line) {
  return Object.entries(FACTS)
    .filter(([name]) => line.facts[name] !== undefined)
    .map(([name, inWords]) => inWords(line.facts[name], line))
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

function markdownLine(cells) {
  return `| ${cells.join(' | ')} |`
}
