// Draws the time of a call as SVG: a panel for each filesystem, a line for each operation, on a log scale.

const ROWS = ['transition', 'update', 'create + delete', 'read']
/** Each contender has its own shape and colour. */
const MARKS = {
  floor: { colour: '#6b7280', shape: 'bar' },
  ours: { colour: '#0b62c4', shape: 'disc' },
  naive: { colour: '#c2410c', shape: 'square' },
  sqlite: { colour: '#15803d', shape: 'triangle' },
  lmdb: { colour: '#7e22ce', shape: 'diamond' },
}
const NAMES = { ours: 'sandbox-state' }

const WIDTH = 860
const LEFT = 130
const RIGHT = 30
const TOP = 74
const LINE = 38
const PANEL_HEAD = 34
const AXIS = 40

/** @returns undefined if none of its rows was measured */
export function plotOf({ places }) {
  const panels = places.map(panelOf).filter(({ lines }) => lines.length > 0)
  if (panels.length === 0) return undefined
  const values = panels.flatMap(({ lines }) => lines.flatMap(({ rows }) => rows.map(({ value }) => value)))
  const scale = logScale(Math.min(...values), Math.max(...values))
  let y = TOP
  const body = panels.map(panel => {
    const drawn = drawPanel(panel, scale, y)
    y += heightOf(panel)
    return drawn
  })
  const names = Object.keys(MARKS).filter(name =>
    panels.some(({ lines }) => lines.some(({ rows }) => rows.some(({ contender }) => contender === name))),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" font-family="system-ui, sans-serif" font-size="13" fill="#1f2937">`,
    `<title>Time of one call, median, on each filesystem</title>`,
    `<rect width="100%" height="100%" rx="6" fill="#ffffff"/>`,
    text(
      20,
      28,
      'Time of one call in one process (median; log scale, left is faster)',
      'font-size="15" font-weight="600"',
    ),
    legend(names),
    ...body,
    '</svg>\n',
  ].join('\n')
}

function panelOf({ title, kind, rows }) {
  const all = rows.flatMap(({ lines }) => lines)
  const lines = ROWS.map(what => ({
    what,
    rows: all.filter(line => line.what === what && line.contender in MARKS),
  })).filter(({ rows }) => rows.length > 0)
  return { title: kind === 'memory' ? `${title}, in memory` : `${title}, on a disk`, lines }
}

function heightOf({ lines }) {
  return PANEL_HEAD + lines.length * LINE + AXIS
}

function logScale(least, most) {
  const [from, to] = [Math.log10(least) - 0.2, Math.log10(most) + 0.2]
  const width = WIDTH - LEFT - RIGHT
  return {
    x: value => LEFT + ((Math.log10(value) - from) / (to - from)) * width,
    ticks: [-2, -1, 0, 1, 2, 3, 4, 5, 6]
      .filter(power => power >= from && power <= to)
      .map(power => 10 ** power),
  }
}

function drawPanel({ title, lines }, { x, ticks }, top) {
  const bottom = top + PANEL_HEAD + lines.length * LINE
  const parts = [text(20, top + 18, escaped(title), 'font-weight="600"')]
  for (const tick of ticks) {
    parts.push(
      `<line x1="${at(x(tick))}" y1="${top + PANEL_HEAD - 4}" x2="${at(x(tick))}" y2="${bottom}" stroke="#e5e7eb"/>`,
      text(x(tick), bottom + 17, duration(tick), 'text-anchor="middle" fill="#6b7280" font-size="12"'),
    )
  }
  for (const [index, { what, rows }] of lines.entries()) {
    const y = top + PANEL_HEAD + index * LINE + LINE / 2
    const values = rows.map(({ value }) => x(value))
    parts.push(
      text(LEFT - 14, y + 4, escaped(what), 'text-anchor="end"'),
      `<line x1="${at(Math.min(...values))}" y1="${y}" x2="${at(Math.max(...values))}" y2="${y}" stroke="#d1d5db"/>`,
    )
    // Ours comes last, so that nothing covers it.
    for (const { contender, value } of rows.toSorted((a, b) => isOurs(a) - isOurs(b))) {
      parts.push(mark(contender, x(value), y, `${NAMES[contender] ?? contender}: ${duration(value)}`))
    }
  }
  return parts.join('\n')
}

function isOurs({ contender }) {
  return contender === 'ours'
}

function legend(names) {
  let x = 24
  return names
    .map(name => {
      const label = NAMES[name] ?? name
      const drawn = `${mark(name, x, 50, label)}\n${text(x + 12, 54, label)}`
      x += 40 + label.length * 7.5
      return drawn
    })
    .join('\n')
}

function mark(contender, x, y, label) {
  const { colour, shape } = MARKS[contender]
  const shapes = {
    bar: `M${at(x - 2)} ${y - 9}h4v18h-4z`,
    disc: `M${at(x - 7)} ${y}a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z`,
    square: `M${at(x - 6)} ${y - 6}h12v12h-12z`,
    triangle: `M${at(x)} ${y - 8}l7.5 13h-15z`,
    diamond: `M${at(x)} ${y - 8}l8 8l-8 8l-8 -8z`,
  }
  return `<path d="${shapes[shape]}" fill="${colour}" fill-opacity="0.85" stroke="#ffffff"><title>${escaped(label)}</title></path>`
}

function text(x, y, content, attributes = '') {
  return `<text x="${at(x)}" y="${at(y)}" ${attributes}>${content}</text>`
}

function duration(microseconds) {
  if (microseconds >= 1000) return `${Number((microseconds / 1000).toPrecision(3))} ms`
  return `${Number(microseconds.toPrecision(3))} µs`
}

function at(value) {
  return Number(value.toFixed(1))
}

function escaped(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
