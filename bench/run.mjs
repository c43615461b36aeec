import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { loadContenders } from './contenders.mjs'
import { machineFacts } from './machine.mjs'
import { HELP, parseOptions, UsageError } from './options.mjs'
import { findPlaces, makeFolder, removeFolders } from './places.mjs'
import { Pool } from './processes/pool.mjs'
import { GROUPS } from './rows.mjs'
import { textOf } from './table.mjs'
import { measureTargets } from './targets.mjs'

/** The form of what --json writes. */
const FORMAT = 1

const pool = new Pool()

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else await main(options)
} catch (error) {
  process.stderr.write(`bench: ${error instanceof UsageError ? error.message : error.stack}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main(options) {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      cleanUp()
      process.exit(1)
    })
  }
  try {
    const results = await measure(options)
    process.stdout.write(textOf(results))
    if (options.json !== undefined) {
      mkdirSync(dirname(options.json), { recursive: true })
      writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`)
    }
  } finally {
    cleanUp()
  }
}

function cleanUp() {
  pool.kill()
  removeFolders()
}

async function measure(options) {
  const begin = performance.now()
  const machine = machineFacts()
  const { places, skipped } = findPlaces(options.folders)
  const { contenders, skipped: missing } = await loadContenders(options.contenders)
  const groups = GROUPS.filter(({ name }) => options.only.includes(name))
  const filesystems = []
  for (const place of places) filesystems.push(await measurePlace(place, groups, contenders, options))
  return {
    format: FORMAT,
    date: new Date().toISOString(),
    seconds: Math.round((performance.now() - begin) / 1000),
    machine,
    loadAtEnd: machineFacts().load,
    options: { rounds: options.rounds, time: options.time },
    contenders: Object.entries(contenders).map(([name, { about, version }]) => ({
      name,
      about,
      version: version(),
    })),
    filesystems,
    targets: measureTargets(filesystems),
    skipped: [...skipped, ...missing],
  }
}

async function measurePlace(place, groups, contenders, options) {
  const context = {
    rounds: options.rounds,
    time: options.time,
    processes: options.processes,
    sizes: options.sizes,
    contenders,
    pool,
    folder: name => makeFolder(place, name),
    openEveryone: names => openEveryone(place, contenders, names),
  }
  const measured = []
  for (const { name, title, run } of groups) {
    const begin = performance.now()
    process.stderr.write(`${place.kind}: ${name} ...`)
    measured.push({ name, title, rows: await run(context) })
    removeFolders()
    process.stderr.write(` ${((performance.now() - begin) / 1000).toFixed(1)} s\n`)
  }
  return { ...place, groups: measured }
}

/** Contenders by name, each with a folder of its own. */
async function openEveryone(place, contenders, names = Object.keys(contenders)) {
  const opened = {}
  for (const name of names) {
    if (contenders[name] !== undefined) opened[name] = await contenders[name].open(makeFolder(place, name))
  }
  return opened
}
