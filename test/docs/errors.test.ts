import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ERROR_CODES, StateStoreError } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { failureOf, TimeoutError, UsageError } from '#src/cli/errors.js'
import { OutputError } from '#src/cli/output.js'
import { rowsOf, section } from './markdown.js'

const project = fileURLToPath(new URL('../..', import.meta.url))
const document = readFileSync(join(project, 'docs', 'errors.md'), 'utf8')

function firstCells(heading: string): string[] {
  return rowsOf(section(document, heading)).map(([cell = '']) => cell.replaceAll('`', ''))
}

describe('docs/errors.md', () => {
  test('has a row for every code, and no other', () => {
    expect(firstCells('# Errors')).toEqual([...ERROR_CODES])
  })

  test('has every field of the error, and no other', () => {
    const error = new StateStoreError('IO_ERROR', 'x', { id: 'a', path: 'p', from: 'f', to: 't', cause: 1 })
    const fields = Object.getOwnPropertyNames(error).filter(name => name !== 'stack' && name !== 'name')
    expect(firstCells('StateStoreError').sort()).toEqual(fields.sort())
  })

  test('has the codes of the command', () => {
    const failures = [
      new UsageError('x'),
      new TimeoutError('x', 'a'),
      new OutputError(new Error('x')),
      new Error('x'),
    ]
    for (const { code, status } of failures.map(error => failureOf(error, '')))
      expect(section(document, 'The command')).toContain(
        `\`${code}\` (${code === 'USAGE' ? 'exit status ' : ''}${status},`,
      )
  })
})

test('each code is used somewhere in src, and no other is', () => {
  const made = new Set<string>()
  for (const file of readdirSync(join(project, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const source = readFileSync(join(project, 'src', file), 'utf8')
    for (const [, code = ''] of source.matchAll(/new StateStoreError\(\s*'(\w+)'/g)) made.add(code)
  }
  expect([...made].sort()).toEqual([...ERROR_CODES].sort())
})
