import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { filesystemOf } from '../bench/machine.mjs'
import { parseOptions, UsageError } from '../bench/options.mjs'
import { effort, long } from './support/effort.js'
import { describeEtcd } from './support/etcd.js'
import { mountExt4, smallFilesystems } from './support/mount.js'
import { temporaryFolder } from './support/root.js'
import { until } from './support/wait.js'

const program = (name: string) => fileURLToPath(new URL(`../bench/${name}.mjs`, import.meta.url))
const PERFORMANCE = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const run = promisify(execFile)

interface Line {
  readonly what: string
  readonly contender: string
  readonly value: number
  readonly rounds: number[]
  readonly ratios: Record<string, number>
}

interface Results {
  readonly format: number
  readonly machine: Record<string, unknown>
  readonly contenders: { name: string; about: string; version: string }[]
  readonly places: { title: string; rows: { name: string; title: string; lines: Line[]; error?: string }[] }[]
  readonly targets: { what: string; on: string; limit: string; measured?: number; result: string }[]
}

async function bench(...args: string[]) {
  return run(process.execPath, [program('run'), '--quick', ...args], { timeout: 120_000 })
}

/** No test asks how fast it is: only whether each row is measured, and whether anything stays behind. */
test('a quick run has each row that was asked for, as text and as JSON, and makes the document', {
  timeout: 150_000,
}, async () => {
  const folder = temporaryFolder()
  const json = join(folder, 'made', 'results.json')
  const names = effort(['transition'], ['transition', 'create', 'own', 'shared', 'at-once', 'list', 'start'])
  const { stdout, stderr } = await bench(...names, '--on', folder, '--json', json)
  const results: Results = JSON.parse(readFileSync(json, 'utf8'))

  expect(stderr).toBe('')
  expect(results.format).toBe(2)
  expect(results.machine).toMatchObject({ node: process.version, cores: expect.any(Number) })
  expect(results.contenders.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['floor', 'locked', 'naive', 'ours']),
  )
  expect(results.places).toHaveLength(1)
  const rows = results.places[0]?.rows ?? []
  expect(rows.map(({ name }) => name)).toEqual(names)
  for (const { title, lines, error } of rows) {
    expect(error).toBeUndefined()
    expect(stdout).toContain(title)
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) {
      expect(line.value).toBeGreaterThan(0)
      expect(line.rounds).toEqual([line.value])
    }
  }
  const transition = rows[0]?.lines ?? []
  const lineOf = (name: string) => transition.find(({ contender }) => contender === name)
  const medianOf = (name: string) => lineOf(name)?.value ?? Number.NaN
  const ratios = lineOf('ours')?.ratios
  expect(((ratios?.floor ?? 0) * medianOf('floor')) / medianOf('ours')).toBeCloseTo(1, 2)
  expect(((ratios?.naive ?? 0) * medianOf('naive')) / medianOf('ours')).toBeCloseTo(1, 2)

  expect(results.targets.length).toBeGreaterThan(0)
  for (const { what, limit, measured } of results.targets) {
    expect(stdout).toContain(what)
    expect(limit).toMatch(/^(<=|>=|<|>) [\d.]+$/)
    expect(measured ?? 0).toEqual(expect.any(Number))
  }
  expect(readdirSync(folder)).toEqual(['made'])

  const document = join(folder, 'performance.md')
  copyFileSync(PERFORMANCE, document)
  await run(process.execPath, [program('document'), json, document])
  const before = readFileSync(PERFORMANCE, 'utf8')
  const after = readFileSync(document, 'utf8')
  expect(byHand(after)).toBe(byHand(before))
  expect(after).toContain(`Node ${process.version}; one round only`)
  for (const { what, on, limit } of results.targets) expect(after).toContain(`| ${what} | ${on} | ${limit} |`)
  for (const { title } of rows) expect(after).toContain(`| **${title}** |`)
  expect(readFileSync(join(folder, 'performance.svg'), 'utf8')).toContain('Time of one call')
})

/** What stands outside the marks. */
function byHand(text: string) {
  return text.replaceAll(/(<!-- (\w+): begin -->).*?(<!-- \2: end -->)/gs, '$1$3')
}

test.each([
  [['nothing'], "there is no row 'nothing'; rows: transition, "],
  [['--on', 'nowhere'], "there is no place 'nowhere'; places: tmpfs, disk, ext4, "],
  [['--rounds', '0'], "--rounds takes a whole number from 1, not '0'"],
  [['--colour'], "Unknown option '--colour'"],
])('the benchmark refuses %j', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message)
  expect(() => parseOptions(args)).toThrow(UsageError)
})

test('the benchmark ends with 2 after a usage error', async () => {
  const stderr = expect.stringMatching(/^bench: there is no row 'nothing'; .*\n$/)
  await expect(bench('nothing')).rejects.toMatchObject({ code: 2, stderr })
})

test('a results file that cannot be written is an error before anything is measured', async () => {
  const folder = temporaryFolder()
  await expect(bench('--on', folder, '--json', folder)).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^bench: EISDIR.*\n$/),
  })
})

const missing = smallFilesystems.find(({ name }) => name.includes('ext4'))?.missing

test.skipIf(missing)('an interrupted run unmounts its image and removes it', async () => {
  const child = spawn(process.execPath, [program('run'), 'at-once', '--on', 'ext4'], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const name = `sandbox-state-bench-${child.pid}-`
  const mountPoint = () => readFileSync('/proc/self/mounts', 'utf8').match(`/\\S*${name}\\S*`)?.[0]
  await until('the image is mounted', () => mountPoint() !== undefined || child.exitCode !== null)
  child.kill('SIGINT')
  expect(await ended).toEqual([130, null])
  expect(mountPoint()).toBeUndefined()
  expect(readdirSync('/var/tmp').filter(file => file.startsWith(name))).toEqual([])
})

test.skipIf(missing)('an ext4 without a journal is named so', () => {
  const folder = mountExt4()
  expect(filesystemOf(folder)).toBe('ext4')
  const image = `${folder}.image`
  execFileSync('umount', [folder])
  execFileSync('tune2fs', ['-O', '^has_journal', image])
  execFileSync('mount', ['-o', 'loop', image, folder])
  expect(filesystemOf(folder)).toBe('ext4 without a journal')
})

test('what waits for adopted VMs take is measured until their owner is killed', async () => {
  const { stdout } = await run(process.execPath, [program('adopted'), '3', '0.1'])
  expect(stdout).toMatch(/^3 waits: \d+\.\d % of a core\n$/)
})

describeEtcd('the comparison with etcd', () => {
  test.runIf(long)('has every figure of files and of etcd, and leaves nothing behind', async () => {
    const json = join(temporaryFolder(), 'results.json')
    const running = run(process.execPath, [program('etcd'), '--quick', '--json', json])
    const { stdout } = await running
    const { rows } = JSON.parse(readFileSync(json, 'utf8')) as { rows: Record<string, unknown>[] }
    expect(rows.length).toBeGreaterThan(2)
    for (const { name, ...figures } of rows) {
      expect(stdout).toContain(`| ${name} | `)
      const numbers = Object.values(figures).flatMap(each =>
        typeof each === 'number' ? each : Object.values(each as object),
      )
      expect(numbers).toEqual(Array(9).fill(expect.any(Number)))
    }
    const left = readdirSync('/var/tmp').filter(file =>
      file.startsWith(`sandbox-state-bench-${running.child.pid}-`),
    )
    expect(left).toEqual([])
  })
})
