import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const project = fileURLToPath(new URL('../..', import.meta.url))
const documents = [project, join(project, 'docs')].flatMap(folder =>
  readdirSync(folder)
    .filter(name => name.endsWith('.md') || name === 'llms.txt')
    .map(name => join(folder, name)),
)
const { scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'))

/** What GitHub makes of a heading that comes once. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-')
}

function anchorsIn(file: string): Set<string> {
  const text = readFileSync(file, 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '')
  const seen = new Map<string, number>()
  const headings = Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading = '']) => {
    const anchor = anchorOf(heading)
    const before = seen.get(anchor) ?? 0
    seen.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
  return new Set([...headings, ...Array.from(text.matchAll(/<a id="([^"]+)"/g), ([, id = '']) => id)])
}

describe.each(documents.map(file => [relative(project, file), file]))('%s', (_, file) => {
  const text = readFileSync(file, 'utf8')

  test('links to what there is', () => {
    const targets = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
    const broken = targets
      .filter(target => !/^https?:/.test(target))
      .filter(target => {
        const [path = '', anchor] = target.split('#')
        const linked = path === '' ? file : join(dirname(file), path)
        return !existsSync(linked) || (anchor !== undefined && !anchorsIn(linked).has(anchor))
      })
    expect(broken).toEqual([])
  })

  test('runs scripts, programs and tests that there are', () => {
    const called = Array.from(text.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g), ([, name = '']) => name)
    expect(called.filter(name => !(name in scripts))).toEqual([])
    const files = text.matchAll(/(?<![\w/.:])((?:test|bench|fixtures|docs|src)\/[\w./-]*\w)/g)
    const missing = Array.from(files, ([, path = '']) => path).filter(path => !isThere(path))
    expect(missing).toEqual([])
  })
})

describe.each(['docs/README.md', 'llms.txt'])('%s', name => {
  const text = readFileSync(join(project, name), 'utf8')

  test('leads to every document', () => {
    const linked = Array.from(text.matchAll(/\]\(([^)]+)\)/g), ([, path = '']) =>
      join(project, dirname(name), path),
    )
    expect(
      documents.filter(file => !/llms\.txt$|docs\/README\.md$/.test(file) && !linked.includes(file)),
    ).toEqual([])
  })
})

test('llms.txt has the form of llmstxt.org: a title, a summary, notes, and lists of links', () => {
  const text = readFileSync(join(project, 'llms.txt'), 'utf8')
  const [head = '', ...sections] = text.split(/^## /m)
  expect(head).toMatch(/^# .+\n\n> .+\n\n(- .+\n)+\n$/)
  expect(sections.map(section => section.split('\n', 1)[0])).toEqual(['Docs', 'Examples', 'Optional'])
  for (const section of sections) expect(section).toMatch(/^\w+\n\n(- \[[^\]]+\]\([^)]+\): .+\n)+\n?$/)
})

/** Paths of what is yet to be made are written with capitals, and what a benchmark writes is not kept. */
function isThere(path: string): boolean {
  return /NAME|VERSION|X\.Y\.Z|^bench\/results/.test(path) || existsSync(join(project, path))
}
