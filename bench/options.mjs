import { parseArgs } from 'node:util'
import { NAMES } from './contenders.mjs'
import { GROUPS } from './rows.mjs'

const GROUP_NAMES = GROUPS.map(({ name }) => name)

export const HELP = `Usage: npm run bench -- [options]

Compares the store with the floor of the filesystem, with the same packages put together naively, and with databases
(when bench/alternatives is installed), on a memory filesystem and on a disk.

  --only GROUPS      of ${GROUP_NAMES.join(', ')}
  --fs FOLDERS       tmpfs (/dev/shm), disk (/var/tmp), or any other folders; tmpfs,disk by default
  --rounds N         rounds of each row, 5 by default
  --time MS          for each contender in each round, 100 by default; rows with many at once take longer
  --processes LIST   numbers of processes, 2,8,32 by default (with sandboxes of their own: up to 8; databases: 8)
  --sizes LIST       numbers of sandboxes to list, 1000,10000,100000 by default
  --contenders LIST  of ${NAMES.join(', ')}; all by default (floor and ours are always there)
  --json FILE        writes everything, each round too
  --help             shows this
`

export class UsageError extends Error {}

export function parseOptions(args) {
  const { values } = parse(args)
  const options = {
    help: values.help,
    only: namesOf('group', GROUP_NAMES, values.only),
    folders: words(values.fs),
    rounds: number('rounds', values.rounds),
    time: number('time', values.time),
    processes: words(values.processes).map(word => number('processes', word)),
    sizes: words(values.sizes).map(word => number('sizes', word)),
    contenders: ['floor', 'ours', ...namesOf('contender', NAMES, values.contenders)],
    json: values.json,
  }
  options.sizes.sort((a, b) => a - b)
  return options
}

function parse(args) {
  const text = fallback => ({ type: 'string', default: fallback })
  try {
    return parseArgs({
      args,
      options: {
        only: text(GROUP_NAMES.join()),
        fs: text('tmpfs,disk'),
        rounds: text('5'),
        time: text('100'),
        processes: text('2,8,32'),
        sizes: text('1000,10000,100000'),
        contenders: text(NAMES.join()),
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

function namesOf(kind, known, text) {
  const names = words(text)
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined) throw new UsageError(`there is no ${kind} ${unknown}`)
  return names
}

function number(name, text) {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`--${name} takes whole numbers from 1, not ${text}`)
  }
  return value
}
