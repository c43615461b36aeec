import { execFile, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { rowsOf, section } from '../docs/markdown.js'
import { effort, long } from '../support/effort.js'

// Runs what the tables of README.md name.

const folder = fileURLToPath(new URL('.', import.meta.url))
const project = join(folder, '../..')
const page = readFileSync(join(folder, 'README.md'), 'utf8')
const run = promisify(execFile)

const lacking = ['spin', 'gcc'].filter(tool => spawnSync(tool, ['--version']).error !== undefined)
if (lacking.length > 0)
  console.warn(`the model of the locks is not checked: there is no ${lacking.join(', no ')}`)

/** A compile and a search take seconds each, a minute where many tests share the processor. */
const PATIENT = { timeout: effort(60_000, 300_000) }

/** The rows of a table, without the quotes around code. */
const tableIn = (heading: string) =>
  rowsOf(section(page, heading)).map(cells => cells.map(cell => cell.replaceAll('`', '').trim()))

/** What Spin prints after it has searched a model. */
async function search(model: string, options: string, optimize: string): Promise<string> {
  const cwd = mkdtempSync(join(tmpdir(), 'sandbox-state-model-'))
  try {
    const defines = options.split(' ').filter(option => option !== '')
    await run('spin', [...defines, '-a', join(folder, model)], { cwd })
    const isLiveness = defines.includes('-DLIVENESS')
    // Liveness: cycles in which nobody gets on, in a fair order. What assertions say is searched without it.
    const [flags, args] = isLiveness
      ? [
          ['-DNP', '-DNFAIR=3'],
          ['-l', '-f', '-A'],
        ]
      : [['-DSAFETY'], []]
    await run('gcc', [optimize, '-DCOLLAPSE', ...flags, '-o', 'pan', 'pan.c'], { cwd })
    return (await run('./pan', ['-m100000', ...args], { cwd })).stdout
  } finally {
    rmSync(cwd, { recursive: true })
  }
}

/** The steps that no order of events leads to; a process without an end never comes to it. */
function unreachedSteps(output: string): string[] {
  return output.split('\n').filter(line => /, state \d+, /.test(line) && !line.endsWith('"-end-"'))
}

describe.skipIf(lacking.length > 0)('Spin', () => {
  const proved = tableIn('Proved').filter(([, , , , mark]) => long || mark === 'short')

  test.each(proved)(
    'finds no error: %s',
    PATIENT,
    async (_name, model = '', options = '', states = '', mark) => {
      const output = await search(model, options, effort('-O0', '-O2'))
      expect(output).toMatch(/errors: 0$/m)
      expect(output).not.toMatch(/max search depth too small|not completed|out of memory/i)
      expect(output).toMatch(/Full statespace search/)
      if (mark === 'all steps') expect(unreachedSteps(output)).toEqual([])
      if (output.includes('Spin Version 6.5.2')) {
        const [, found] = /^ *(\S+) states, stored/m.exec(output) ?? []
        expect(Number(found).toLocaleString('en')).toBe(states)
      }
    },
  )

  const refuted = [...tableIn('Refuted'), ...tableIn('Assumed')].filter(
    ([, , , , mark]) => long || mark === 'short',
  )

  test.each(refuted)('finds an error with %s: %s %s', PATIENT, async (option, model = '', beside) => {
    expect(
      readFileSync(join(folder, model), 'utf8') + readFileSync(join(folder, 'locks.pml'), 'utf8'),
    ).toContain(option?.replace('-D', ''))
    const output = await search(model, `${option} ${beside}`, '-O0')
    expect(output).toMatch(/errors: 1$/m)
    expect(output).toMatch(/assertion violated (?!- invalid)|non-progress cycle/)
  })
})

test('README.md names every option of the models, and functions that there are', () => {
  const models = ['locks.pml', 'change.pml', 'owner.pml'].map(name =>
    readFileSync(join(folder, name), 'utf8'),
  )
  const options = new Set(models.join('\n').match(/(?<=^#ifn?def |defined\()\w+/gm))
  for (const option of ['KILLS']) options.delete(option)
  expect([...options].filter(option => !page.includes(`-D${option}`))).toEqual([])

  const rows = rowsOf(section(page, 'What stands for what'))
  expect(rows.length).toBeGreaterThan(8)
  for (const [inModel = '', inSource = ''] of rows) {
    for (const [, name] of inModel.matchAll(/`(\w+)`/g)) {
      expect.soft(models.join('\n'), name).toMatch(new RegExp(`^inline ${name}\\(`, 'm'))
    }
    const [, file = ''] = /`(src\/\S+)`/.exec(inSource) ?? []
    const source = existsSync(join(project, file)) ? readFileSync(join(project, file), 'utf8') : ''
    for (const [, name] of inSource.matchAll(/`(\w+)`/g)) {
      expect.soft(source, `${file}: ${name}`).toMatch(new RegExp(`\\b${name}(<\\w+>)?\\(`))
    }
  }
})
