// Puts results into the documentation: document.mjs RESULTS.json, from `npm run bench -- --json RESULTS.json`.
// Only what stands between the two marks of docs/performance.md is replaced; the text around it is written by hand.
import { readFileSync, writeFileSync } from 'node:fs'
import { plotOf } from './plot.mjs'
import { machineLine, markdownOf, targetsMarkdown } from './table.mjs'

const DOCUMENT = new URL('../docs/performance.md', import.meta.url)
const PLOT = new URL('../docs/performance.svg', import.meta.url)
const BEGIN = '<!-- results: begin -->'
const END = '<!-- results: end -->'

const [file] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: node bench/document.mjs RESULTS.json\n')
  process.exit(2)
}

const results = JSON.parse(readFileSync(file, 'utf8'))
const document = readFileSync(DOCUMENT, 'utf8')
const [before, rest] = document.split(BEGIN)
const after = rest?.split(END)[1]
if (after === undefined) throw new Error(`docs/performance.md lacks ${BEGIN} or ${END}`)

const plot = plotOf(results)
if (plot !== undefined) writeFileSync(PLOT, plot)
writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${sectionOf(results).join('\n\n')}\n\n${END}${after}`)

function sectionOf(results) {
  const { filesystems, targets, contenders, skipped, machine, loadAtEnd } = results
  return [
    `${machineLine(results)}.`,
    `Load average of the machine before and after: ${machine.load[0]} and ${loadAtEnd[0]}.`,
    ...(plot === undefined
      ? []
      : ['![The time of one call, for each contender, on each filesystem](performance.svg)']),
    '## Targets',
    targetsMarkdown(targets),
    ...filesystems.flatMap(each => [headingOf(each), markdownOf(each)]),
    '## Contenders',
    contenders.map(({ name, about, version }) => `- **${name}** (${version}): ${about}.`).join('\n'),
    ...skipped.map(line => `${line}.`),
  ]
}

function headingOf({ kind, filesystem }) {
  return kind === 'tmpfs' ? `## In memory: ${filesystem}` : `## On a disk: ${filesystem}`
}
