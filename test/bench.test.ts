import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from './support/root.js'

const BENCH = fileURLToPath(new URL('../bench/run.mjs', import.meta.url))
const run = promisify(execFile)

interface Row {
  readonly what: string
  readonly contender: string
  readonly unit: string
  readonly value: number
  readonly rounds: number[]
  readonly ratios: Record<string, number>
  readonly facts: Record<string, number>
}

interface Results {
  readonly format: number
  readonly machine: Record<string, unknown>
  readonly contenders: { name: string; about: string; version: string }[]
  readonly filesystems: { filesystem: string; groups: { name: string; title: string; rows: Row[] }[] }[]
  readonly targets: { what: string; limit: string; measured: number; met: boolean }[]
}

async function bench(...args: string[]) {
  return run(process.execPath, [BENCH, '--rounds', '1', '--time', '10', ...args], { timeout: 120_000 })
}

/** No test tells how fast it is: only that each row was measured, and that nothing is left behind. */
test('one small round of the benchmark gives rows of every group that was asked for, as text and as JSON', {
  timeout: 150_000,
}, async () => {
  const folder = temporaryFolder()
  const json = join(folder, 'made', 'results.json')
  const only = 'transition,create,shared,at-once,list,start'
  const contenders = ['--contenders', 'naive', '--processes', '2', '--sizes', '20', '--only', only]
  const { stdout } = await bench('--fs', folder, '--json', json, ...contenders)
  const results: Results = JSON.parse(readFileSync(json, 'utf8'))

  expect(results.format).toBe(1)
  expect(results.machine).toMatchObject({ node: process.version, cores: expect.any(Number) })
  expect(results.contenders.map(({ name }) => name)).toEqual(['floor', 'naive', 'ours'])
  expect(results.filesystems).toHaveLength(1)
  const groups = results.filesystems[0]?.groups ?? []
  expect(groups.map(({ name }) => name).join()).toBe(only)
  for (const { title, rows } of groups) {
    expect(stdout).toContain(title)
    expect(rows.length).toBeGreaterThan(0)
    for (const row of rows) {
      expect(row.value).toBeGreaterThan(0)
      expect(row.rounds).toEqual([row.value])
    }
  }
  const transition = groups[0]?.rows ?? []
  const medianOf = (name: string) =>
    transition.find(({ contender }) => contender === name)?.value ?? Number.NaN
  const ours = transition.find(({ contender }) => contender === 'ours')
  expect(((ours?.ratios.floor ?? 0) * medianOf('floor')) / medianOf('ours')).toBeCloseTo(1, 2)
  expect(((ours?.ratios.naive ?? 0) * medianOf('naive')) / medianOf('ours')).toBeCloseTo(1, 2)

  expect(results.targets.length).toBeGreaterThan(0)
  for (const { what, limit, measured } of results.targets) {
    expect(stdout).toContain(what)
    expect(limit).toMatch(/^(<=|>=|<) [\d.]+$/)
    expect(measured).toEqual(expect.any(Number))
  }
  expect(readdirSync(folder)).toEqual(['made'])
})

test.each([
  [['--only', 'nothing'], 'there is no group nothing'],
  [['--contenders', 'ours,nobody'], 'there is no contender nobody'],
  [['--rounds', '0'], '--rounds takes whole numbers from 1, not 0'],
  [['--colour'], "Unknown option '--colour'"],
])('the benchmark with %j is a usage error', async (args, message) => {
  await expect(bench(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
})
