// Compares a store on etcd with one of files: node bench/etcd.mjs [--quick] [--json FILE]
// Starts etcd itself (one member, then three) on loopback ports. Needs `etcd` on the PATH and a built package.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openStore } from 'sandbox-state'
import { freePorts } from './free-ports.mjs'
import { machineFacts } from './machine.mjs'
import { closePlaces, makeFolder } from './places.mjs'
import { killProcesses, startProcesses } from './processes/pool.mjs'
import { throughput } from './rows/processes.mjs'
import { median, quantile } from './statistics.mjs'

const { values: options } = parseArgs({ options: { quick: { type: 'boolean' }, json: { type: 'string' } } })
const CALLS = options.quick ? 30 : 1_000
/** How long the processes change one sandbox, in ms. */
const TIME = options.quick ? 100 : 3_000
const AT_ONCE = 32
const PROCESSES = 8

const members = []
process.once('exit', cleanUp)
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]))
}

/** @returns the members' `HOST:PORT`, separated by commas */
async function startEtcd(size, on) {
  const ports = await freePorts(2 * size)
  const url = i => `http://127.0.0.1:${ports[i]}`
  const cluster = Array.from({ length: size }, (_, i) => `m${i}=${url(size + i)}`).join()
  const folder = makeFolder({ folder: on }, 'etcd')
  for (let i = 0; i < size; i++) {
    const args = [
      ...['--name', `m${i}`, '--data-dir', join(folder, `m${i}`), '--initial-cluster', cluster],
      ...['--listen-client-urls', url(i), '--advertise-client-urls', url(i)],
      ...['--listen-peer-urls', url(size + i), '--initial-advertise-peer-urls', url(size + i)],
    ]
    const child = spawn('etcd', args, { stdio: 'ignore' })
    await once(child, 'spawn')
    members.push(child)
  }
  const hosts = ports.slice(0, size).map(port => `127.0.0.1:${port}`)
  for (const host of hosts) {
    const deadline = performance.now() + 20_000
    while (!(await isHealthy(host))) {
      if (performance.now() > deadline) throw new Error(`etcd at ${host} did not start`)
      await sleep(50)
    }
  }
  return hosts.join()
}

async function isHealthy(host) {
  try {
    return (await fetch(`http://${host}/health`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

/** The latency of calls made one after another, in ms. */
async function oneByOne(call) {
  const times = []
  for (let i = -Math.ceil(CALLS / 10); i < CALLS; i++) {
    const start = performance.now()
    await call(i)
    if (i >= 0) times.push(performance.now() - start)
  }
  return { p50: threeDigits(median(times)), p99: threeDigits(quantile(times, 0.99)) }
}

/** Calls a second with AT_ONCE under way all the time, each on its own sandbox. */
async function sideBySide(call) {
  const start = performance.now()
  let next = 0
  const work = async worker => {
    while (next++ < CALLS) await call(worker)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => work(i)))
  return Math.round(CALLS / ((performance.now() - start) / 1_000))
}

/** Changes a second by several processes of one sandbox. */
async function contended(root) {
  const pool = await startProcesses(PROCESSES)
  const askAll = message => pool.askAll(Array(PROCESSES).fill({ contender: 'ours', ...message }))
  try {
    await askAll({ command: 'open', root, id: 'shared', what: 'increment', warmUp: TIME / 10 })
    return Math.round(throughput(await askAll({ command: 'run', ms: TIME })))
  } finally {
    pool.kill()
  }
}

const threeDigits = value => Number(value.toPrecision(3))
const increment = state => ({ ...state, blockIndex: state.blockIndex + 1 })

async function measure(name, root) {
  const store = await openStore(root, { lockTimeout: 60_000 })
  try {
    await store.create('shared')
    for (let i = 0; i < AT_ONCE; i++) await store.create(`s${i}`)
    return {
      name,
      read: await oneByOne(() => store.read('shared')),
      update: await oneByOne(() => store.update('shared', increment)),
      createAndDelete: await oneByOne(async i => {
        await store.create(`new${i}`)
        await store.delete(`new${i}`)
      }),
      readsASecond: await sideBySide(worker => store.read(`s${worker}`)),
      updatesASecond: await sideBySide(worker => store.update(`s${worker}`, increment)),
      contendedASecond: await contended(root),
    }
  } finally {
    await store.close()
  }
}

function print({ machine, rows }) {
  const [base] = rows
  const times = (value, of) => `${value} (x${threeDigits(value / of)})`
  const columns = [
    ['', row => row.name],
    ['read p50 / p99 ms', row => `${times(row.read.p50, base.read.p50)} / ${row.read.p99}`],
    ['update p50 / p99 ms', row => `${times(row.update.p50, base.update.p50)} / ${row.update.p99}`],
    [
      'create + delete p50 / p99 ms',
      row => `${times(row.createAndDelete.p50, base.createAndDelete.p50)} / ${row.createAndDelete.p99}`,
    ],
    [`reads/s, ${AT_ONCE} at once`, row => times(row.readsASecond, base.readsASecond)],
    [`updates/s, ${AT_ONCE} at once`, row => times(row.updatesASecond, base.updatesASecond)],
    [`updates/s of one, ${PROCESSES} processes`, row => times(row.contendedASecond, base.contendedASecond)],
  ]
  console.log(`${machine}; ${CALLS} calls each; ratios to the first row`)
  console.log(`| ${columns.map(([title]) => title).join(' | ')} |`)
  console.log(`|${columns.map(() => '---|').join('')}`)
  for (const row of rows) console.log(`| ${columns.map(([, cell]) => cell(row)).join(' | ')} |`)
}

async function run() {
  const disk = existsSync('/var/tmp') ? '/var/tmp' : tmpdir()
  const memory = existsSync('/dev/shm') ? '/dev/shm' : undefined
  const rows = [await measureFiles('files on disk', disk)]
  rows.push(await measureEtcd('etcd, 1 member on disk', 1, disk))
  rows.push(await measureEtcd('etcd, 3 members on one disk', 3, disk))
  if (memory !== undefined) {
    rows.push(await measureFiles('files in memory', memory))
    rows.push(await measureEtcd('etcd, 1 member in memory', 1, memory))
  }
  const { cores, cpu, kernel, node } = machineFacts()
  const result = { machine: `${cores} x ${cpu}, ${kernel}, Node ${node}`, calls: CALLS, rows }
  print(result)
  const json = JSON.stringify(result, null, 2)
  if (options.json === undefined) console.log(json)
  else writeFileSync(options.json, `${json}\n`)
}

async function measureFiles(name, on) {
  return measure(name, makeFolder({ folder: on }, 'files'))
}

/** Ends its members, so that the next measurement has the machine to itself. */
async function measureEtcd(name, size, on) {
  const hosts = await startEtcd(size, on)
  try {
    return await measure(name, `etcd://${hosts}/bench`)
  } finally {
    cleanUp()
  }
}

function cleanUp() {
  killProcesses()
  for (const member of members.splice(0)) member.kill('SIGKILL')
  closePlaces()
}

await run()
