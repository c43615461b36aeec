// Writes the results of `npm run bench -- --json` into the documentation: node bench/document.mjs RESULTS.json [DOCUMENT]
// Replaces only the text between each pair of marks in docs/performance.md. The rest, such as why a target is missed, is
// written by hand. The picture goes beside the document.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plotOf } from './plot.mjs'
import { machineLine, markdownOf, targetsMarkdown } from './table.mjs'

const OURS = fileURLToPath(new URL('../docs/performance.md', import.meta.url))

const [file, document = OURS] = process.argv.slice(2)
if (file === undefined) {
  process.stderr.write('usage: node bench/document.mjs RESULTS.json [DOCUMENT]\n')
  process.exit(2)
}

const results = JSON.parse(readFileSync(file, 'utf8'))
const plot = plotOf(results)
if (plot !== undefined) writeFileSync(join(dirname(document), 'performance.svg'), plot)

let text = readFileSync(document, 'utf8')
text = withSection(text, 'targets', targetsSection(results))
text = withSection(text, 'results', resultsSection(results))
writeFileSync(document, text)

const missed = results.targets.filter(({ result }) => result !== 'met')
if (missed.length > 0) {
  process.stderr.write('Not met; the document should say why:\n')
  for (const { what, on, result } of missed) process.stderr.write(`  ${what} (${on}): ${result}\n`)
}

function withSection(text, name, parts) {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`${document} lacks ${begin} or ${end}`)
  return `${before}${begin}\n\n${parts.join('\n\n')}\n\n${end}${after}`
}

function targetsSection({ targets, machine, loadAtEnd }) {
  return [
    `${machineLine(results)}.`,
    `Load average of the machine before and after: ${machine.load[0]} and ${loadAtEnd[0]}.`,
    targetsMarkdown(targets),
  ]
}

function resultsSection({ places, contenders, missing }) {
  return [
    ...(plot === undefined
      ? []
      : ['![The time of one call, for each contender, on each filesystem](performance.svg)']),
    ...places.flatMap(place => [headingOf(place), markdownOf(place)]),
    '## Contenders',
    contenders.map(({ name, about, version }) => `- **${name}** (${version}): ${about}.`).join('\n'),
    ...missing.map(line => `${line}.`),
  ]
}

function headingOf({ kind, title }) {
  return kind === 'memory' ? `## In memory: ${title}` : `## On a disk: ${title}`
}
