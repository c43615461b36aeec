import { mkdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { loadContenders } from './contenders.mjs'
import { machineFacts } from './machine.mjs'
import { HELP, parseOptions, UsageError } from './options.mjs'
import { closePlaces, makeFolder, openPlace, PLACES } from './places.mjs'
import { killProcesses } from './processes/pool.mjs'
import { ROWS } from './rows.mjs'
import { textOf } from './table.mjs'
import { measureTargets } from './targets.mjs'

/** The version of the format that --json writes. */
const FORMAT = 2

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else await main(options)
} catch (error) {
  const isOwn = error instanceof UsageError || error.syscall !== undefined
  process.stderr.write(`bench: ${isOwn ? error.message : error.stack}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main({ json, rows, places, scale }) {
  process.once('exit', cleanUp)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
  }
  // The reader of a pipe may close it early.
  process.stdout.on('error', () => {})
  if (json !== undefined) {
    // A file that cannot be written fails now, not after ten minutes.
    mkdirSync(dirname(json), { recursive: true })
    writeFileSync(json, '', { flag: 'a' })
  }
  const results = await measure(planOf(rows, places), scale)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
  process.stdout.write(textOf(results))
}

function cleanUp() {
  progress('')
  killProcesses()
  closePlaces()
}

/** The rows for each place: those that belong there by default, or all if places were chosen. */
function planOf(names, places) {
  return (places ?? PLACES)
    .map(place => {
      const isWanted = ({ name, on }) => names.includes(name) && (places !== undefined || on.includes(place))
      return { place, rows: ROWS.filter(isWanted) }
    })
    .filter(({ rows }) => rows.length > 0)
}

async function measure(plan, scale) {
  const begin = performance.now()
  const machine = machineFacts()
  const { contenders, missing } = await loadContenders()
  const places = []
  for (const { place, rows } of plan) places.push(await measurePlace(place, rows, contenders, scale))
  return {
    format: FORMAT,
    date: new Date().toISOString(),
    seconds: Math.round((performance.now() - begin) / 1000),
    machine,
    loadAtEnd: machineFacts().load,
    rounds: scale.rounds,
    contenders: Object.entries(contenders).map(([name, { about, version }]) => ({
      name,
      about,
      version: version(),
    })),
    missing,
    places,
    targets: measureTargets(places, machine),
  }
}

async function measurePlace(name, rows, contenders, scale) {
  const place = openPlace(name)
  const measured = []
  for (const [index, row] of rows.entries()) {
    progress(`${place.title}: ${row.name}, ${index + 1} of ${rows.length}`)
    const context = { ...scale, contenders, kind: place.kind, folder: purpose => makeFolder(place, purpose) }
    measured.push({ name: row.name, title: row.title, ...(await linesOf(row, place, context)) })
  }
  closePlaces()
  return { ...place, rows: measured }
}

/** A row that fails does not stop the others. */
async function linesOf(row, { missing }, context) {
  if (missing !== undefined) return { lines: [], error: `not available: ${missing}` }
  try {
    return { lines: await row.measure(context) }
  } catch (error) {
    process.exitCode = 1
    return { lines: [], error: `failed: ${error.message.split('\n')[0]}` }
  }
}

/** Shows what is being measured, on a terminal. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}
