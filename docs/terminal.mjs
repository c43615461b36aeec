// Draws a recording of a terminal as SVG. It brings its own background and fonts that every system has, so that it looks
// the same in a light and in a dark page. Without animation, everything is there from the start.

const FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
const CHARACTER = 8.43
const LINE = 20
const MARGIN = 18
const BAR = 34
/** In s: until a command appears after the one before, and its output after the command. */
const COMMAND_DELAY = 1.8
const OUTPUT_DELAY = 0.6

/** @param scenes command lines, each with its output, and perhaps with a remark behind it */
export function drawTerminal({ title, description, scenes }) {
  const rows = scenes.flatMap(({ line, remark, output }, at) => {
    const delay = at * COMMAND_DELAY
    const parts = [
      ['$ ', 'prompt'],
      [line, 'command'],
      [remark === undefined ? '' : `  # ${remark}`, 'remark'],
    ]
    const printed = output.split('\n').filter(text => text !== '')
    return [
      { parts, delay },
      ...printed.map(text => ({ parts: [[text, 'output']], delay: delay + OUTPUT_DELAY })),
    ]
  })
  const lengths = rows.map(({ parts }) => parts.map(([text]) => text).join('').length)
  const width = Math.ceil(Math.max(...lengths) * CHARACTER) + 2 * MARGIN
  const height = BAR + rows.length * LINE + MARGIN
  const lights = ['#ff5f57', '#febc2e', '#28c840'].map(
    (colour, at) => `<circle cx="${MARGIN + 6 + at * 20}" cy="17" r="6" fill="${colour}"/>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${xml(title)}</title>
<desc id="description">${xml(description)}</desc>
<style>
text { font: 14px ${FONT}; white-space: pre; animation: appear 1ms both }
.prompt { fill: #7ee787 } .command { fill: #ffffff; font-weight: 600 } .remark { fill: #8b949e } .output { fill: #c9d1d9 }
@keyframes appear { from { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#161b22" stroke="#30363d"/>
${lights.join('')}
${rows.map((row, at) => drawRow(row, BAR + (at + 1) * LINE - 5)).join('\n')}
</svg>
`
}

function drawRow({ parts, delay }, y) {
  const shown = parts.filter(([text]) => text !== '')
  const spans = shown.map(([text, kind]) => `<tspan class="${kind}">${xml(text)}</tspan>`)
  const start = `x="${MARGIN}" y="${y}" xml:space="preserve" style="animation-delay:${delay.toFixed(1)}s"`
  return `<text ${start}>${spans.join('')}</text>`
}

function xml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
