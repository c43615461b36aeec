import { parseArgs } from 'node:util'
import { GROUPS } from './rows.mjs'

export const HELP = `Usage: npm run bench -- [options]

Measures the store beside the floor of the filesystem, beside the same packages put together naively, and beside
databases (when bench/alternatives is installed), on a memory filesystem and on a disk.

  --only GROUPS      of ${GROUPS.map(({ name }) => name).join(', ')}
  --fs FOLDERS       tmpfs (/dev/shm), disk (/var/tmp), or any other folders; tmpfs,disk by default
  --rounds N         rounds of each row, 5 by default
  --time MS          for each contender in each round, 100 by default; rows with many at once take longer
  --processes LIST   numbers of processes, 2,8,32 by default (with sandboxes of their own: those up to 8)
  --sizes LIST       numbers of sandboxes to list, 1000,10000,100000 by default
  --contenders LIST  of floor, naive, ours, sqlite, lmdb; all by default (floor and ours are always there)
  --json FILE        writes everything, each round too
  --help             shows this
`

export class UsageError extends Error {}

export function parseOptions(args) {
  const { values } = parse(args)
  const options = {
    help: values.help,
    only: words(values.only),
    folders: words(values.fs),
    rounds: number('rounds', values.rounds),
    time: number('time', values.time),
    processes: words(values.processes).map(word => number('processes', word)),
    sizes: words(values.sizes).map(word => number('sizes', word)),
    contenders: words(values.contenders),
    json: values.json,
  }
  for (const name of options.only) {
    if (!GROUPS.some(group => group.name === name)) throw new UsageError(`there is no group ${name}`)
  }
  options.sizes.sort((a, b) => a - b)
  return options
}

function parse(args) {
  const text = (fallback = '') => ({ type: 'string', default: fallback })
  try {
    return parseArgs({
      args,
      options: {
        only: text(),
        fs: text('tmpfs,disk'),
        rounds: text('5'),
        time: text('100'),
        processes: text('2,8,32'),
        sizes: text('1000,10000,100000'),
        contenders: text(),
        json: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error.message)
  }
}

function words(text) {
  return text.split(',').filter(word => word !== '')
}

function number(name, text) {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new UsageError(`--${name} takes whole numbers from 1, not ${text}`)
  return value
}
