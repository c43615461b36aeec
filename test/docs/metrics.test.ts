import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { programEnvironment, Root } from '../cli/support.js'
import { temporaryFolder } from '../support/root.js'
import { fencedBlock, rowsOf, section } from './markdown.js'

const document = readFileSync(new URL('../../docs/observability.md', import.meta.url), 'utf8')
const noPromtool = spawnSync('promtool', ['--version']).error !== undefined
if (noPromtool) console.warn('neither metrics nor alerts are checked by promtool, which is not installed')

/** The command lines of the unit and of the crontab, of which systemd starts the first itself. */
const RECIPES = {
  service: /^ExecStart=\/bin\/sh -c '(.*)'$/m.exec(fencedBlock(document, '<!-- service -->'))?.[1] ?? '',
  cron: fencedBlock(document, '<!-- cron -->').replace(/^PATH=.*\n(\S+ ){6}/, ''),
}

function promtool(input: string, ...args: string[]): void {
  expect(spawnSync('promtool', args, { input, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
}

test('the table has each metric with its type and labels, as it is printed', async () => {
  const root = new Root()
  await root.done('create a')
  const printed = await root.done('metrics')
  const types = Array.from(printed.matchAll(/^# TYPE (\S+) (\S+)$/gm), ([, name = '', type = '']) => {
    const label = new RegExp(`^${name}\\{(\\w+)=`, 'm').exec(printed)?.[1]
    const values = Array.from(printed.matchAll(new RegExp(`^${name}\\{\\w+="(\\w+)"`, 'gm')), ([, v]) => v)
    return [name, type, [...(label === undefined ? [] : [label]), ...values]]
  })
  const [table = ''] = section(document, 'Metrics').split('\n| to see')
  const words = (cell: string) => Array.from(cell.matchAll(/`(\w+)`/g), ([, word]) => word)
  const rows = rowsOf(table).map(([name = '', type, labels = '']) => [words(name)[0], type, words(labels)])
  expect(rows).toEqual(types)
  expect(rows).toHaveLength(5)
  const named = new Set(document.match(/sandbox_state_\w+/g))
  expect([...named].sort()).toEqual(types.map(([name]) => name).sort())
})

describe.each(Object.entries(RECIPES))('the recipe for %s', (_, recipe) => {
  /** Runs it as systemd or cron does, on a root and in a folder of the test's own. */
  function runRecipe(folder: string, root: string) {
    const line = recipe.replace('/var/lib/prometheus/node-exporter', folder).replace('/run/sandboxes', root)
    return spawnSync('/bin/sh', ['-c', line], { cwd: folder, env: programEnvironment() }).status
  }

  test('replaces the numbers as a whole, and keeps the last ones when it fails', async () => {
    const folder = temporaryFolder()
    const root = new Root()
    await root.done('create a')
    expect(runRecipe(folder, root.path)).toBe(0)
    const first = readFileSync(join(folder, 'sandboxes.prom'), 'utf8')
    expect(first).toContain('sandbox_state_sandboxes{state="ready"} 1\n')
    expect(readdirSync(folder)).toEqual(['sandboxes.prom'])
    await root.done('transition a running')
    expect(runRecipe(folder, root.path)).toBe(0)
    const second = readFileSync(join(folder, 'sandboxes.prom'), 'utf8')
    expect(second).toContain('sandbox_state_sandboxes{state="running"} 1\n')
    expect(runRecipe(folder, '/dev/null')).toBe(1)
    expect(readFileSync(join(folder, 'sandboxes.prom'), 'utf8')).toBe(second)
  })
})

describe.skipIf(noPromtool)('promtool accepts', () => {
  test('the metrics', async () => promtool(await new Root().done('metrics'), 'check', 'metrics'))

  test('the alerts, and what the table of PromQL asks', () => {
    const [, , , asked = ''] = section(document, 'Metrics').split(/\n\n/)
    const queries = Array.from(asked.matchAll(/`(.+)` \|$/gm), ([, query = '']) =>
      query.replaceAll('\\|', '|'),
    )
    expect(queries).toHaveLength(5)
    const rules = queries.map(
      (expr, i) => `      - { record: 'query:${i}', expr: ${JSON.stringify(expr)} }\n`,
    )
    const file = join(temporaryFolder(), 'rules.yml')
    writeFileSync(file, `${fencedBlock(document, '<!-- alerts -->')}${rules.join('')}`)
    promtool('', 'check', 'rules', file)
  })
})
