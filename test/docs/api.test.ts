import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { signatureOf } from '../../docs/api/signature.mjs'

const project = fileURLToPath(new URL('../..', import.meta.url))
const document = readFileSync(join(project, 'docs', 'api.md'), 'utf8')

describe('docs/api.md', () => {
  test('is made of the declarations and comments as they are (npm run docs:api makes it anew)', () => {
    const [, signature] = /^<!-- made by npm run docs:api, of (\w+) -->/.exec(document) ?? []
    expect(signature).toBe(signatureOf(join(project, 'dist', 'index.d.ts')))
  })

  test('is completed by docs/package.md, which names every schema', async () => {
    const text = readFileSync(join(project, 'docs', 'package.md'), 'utf8')
    for (const name of Object.keys(await import('sandbox-state/schemas')))
      expect(text).toContain(`\`${name}\``)
  })

  test('has everything that the package exports', () => {
    const index = readFileSync(join(project, 'src', 'index.ts'), 'utf8')
    const names = Array.from(index.matchAll(/export (?:type )?\{([^}]*)\}/g), ([, list = '']) => list)
      .flatMap(list => list.split(','))
      .map(name => name.replace('type ', '').trim())
      .filter(name => name !== '')
    expect(names.length).toBeGreaterThan(40)
    const headings = new Set(
      Array.from(document.matchAll(/^### (\S+)/gm), ([, name = '']) => name.replaceAll(/\\|\(\)$/g, '')),
    )
    expect(names.filter(name => !headings.has(name))).toEqual([])
  })
})
