import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { PLACES } from './places.mjs'
import { ROWS } from './rows.mjs'

const ROW_NAMES = ROWS.map(({ name }) => name)

export const HELP = `Usage: npm run bench -- [ROW...] [options]

Compares the store with the least that the filesystem takes, with a naive use of the same packages, and with databases
(if bench/alternatives is installed). All contenders of a row take turns in one run.

Rows (default: all):
${ROWS.map(({ name, title }) => `  ${name.padEnd(11)} ${title}`).join('\n')}

  --on PLACES  where, separated by commas: ${PLACES.join(', ')}, or folders (default: the
               places of each row). ext4, xfs and btrfs are images in /var/tmp, and need root
  --rounds N   rounds of each row (default: 5)
  --quick      one short round with few processes and sandboxes, to see that everything works
  --json FILE  write all results, with each round; bench/document.mjs puts them into docs/performance.md
  --help       show this help
`

/** How much is measured. `time` is in ms for each contender in each round; rows with many at once take several times that. */
const FULL = { rounds: 5, time: 100, own: [8], shared: [8, 32], sizes: [1_000, 10_000, 100_000], kills: 8 }
const QUICK = { rounds: 1, time: 10, own: [2], shared: [2], sizes: [20], kills: 1 }

export class UsageError extends Error {}

export function parseOptions(args) {
  const { values, positionals } = parse(args)
  const scale = values.quick ? QUICK : FULL
  return {
    help: values.help,
    json: values.json,
    rows: chosen('row', positionals, ROW_NAMES),
    places: values.on === undefined ? undefined : chosen('place', values.on.split(','), PLACES, existsSync),
    scale: { ...scale, rounds: values.rounds === undefined ? scale.rounds : roundsFrom(values.rounds) },
  }
}

function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        on: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error.message)
  }
}

/** Without names: all. */
function chosen(kind, names, known, isAlsoKnown = () => false) {
  const unknown = names.find(name => !known.includes(name) && !isAlsoKnown(name))
  if (unknown !== undefined) {
    throw new UsageError(`there is no ${kind} '${unknown}'; ${kind}s: ${known.join(', ')}`)
  }
  return names.length === 0 ? known : names
}

function roundsFrom(text) {
  const rounds = Number(text)
  if (!Number.isSafeInteger(rounds) || rounds < 1) {
    throw new UsageError(`--rounds takes a whole number from 1, not '${text}'`)
  }
  return rounds
}
