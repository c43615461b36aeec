import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { rowsOf } from './docs/markdown.js'

const project = fileURLToPath(new URL('..', import.meta.url))
const document = readFileSync(join(project, 'ARCHITECTURE.md'), 'utf8')

/** A part of src: a folder, a file of its own rank, or the other files beside them, which are the terms that all share. */
type Part =
  | 'errors'
  | 'state'
  | 'terms'
  | 'file'
  | 'etcd'
  | 'store'
  | 'copy'
  | 'kata'
  | 'index'
  | 'schemas'
  | 'cli'

/** What each part may import, apart from itself. */
const MAY_IMPORT: Readonly<Record<Part, readonly Part[]>> = {
  errors: [],
  state: ['errors'],
  terms: ['errors', 'state'],
  file: ['errors', 'state', 'terms'],
  etcd: ['errors', 'state', 'terms'],
  store: ['errors', 'state', 'terms', 'file', 'etcd'],
  copy: ['errors', 'state', 'terms', 'store'],
  kata: ['errors', 'state', 'terms', 'file'],
  index: ['errors', 'state', 'terms', 'file', 'etcd', 'store', 'copy'],
  schemas: ['errors', 'state'],
  cli: ['errors', 'state', 'terms', 'store', 'copy', 'kata'],
}

const OWN_RANK: ReadonlySet<string> = new Set(['errors', 'store', 'copy', 'index', 'schemas'])

function partOf(file: string): Part {
  const [first = '', rest] = file.split('/')
  const name = first.replace(/\.ts$/, '').replace(/^store-.*/, 'store')
  return (rest !== undefined || OWN_RANK.has(name) ? name : 'terms') as Part
}

function importsOf(file: string): string[] {
  const source = readFileSync(join(project, 'src', file), 'utf8')
  return Array.from(source.matchAll(/(?:from |import |import\()'(\.[^']+)\.js'/g), ([, target = '']) =>
    posix.join(dirname(file), `${target}.ts`),
  )
}

const files = readdirSync(join(project, 'src'), { recursive: true, encoding: 'utf8' }).filter(file =>
  file.endsWith('.ts'),
)
const imports = files.flatMap(from => importsOf(from).map(to => ({ from, to })))

test('imports point one way', () => {
  expect(imports.length).toBeGreaterThan(200)
  const wrong = imports
    .filter(({ from, to }) => {
      const [part, target] = [partOf(from), partOf(to)]
      return part !== target && !MAY_IMPORT[part].includes(target)
    })
    .map(({ from, to }) => `${from} -> ${to}`)
  expect(wrong).toEqual([])
})

/** The parts of src/file, each of which may import itself and those before it: folders, and files that stand beside them. */
const FILE_RANKS: readonly (readonly string[])[] = [
  ['layout', 'private-package', 'time-slice'],
  ['posix', 'root-dir'],
  ['state-file', 'history-line'],
  ['lock', 'read'],
  ['history', 'history-read', 'replace', 'sandbox-dir', 'flush'],
  ['commit'],
  ['own', 'ownership', 'until-unowned'],
  ['commit-messages', 'commit-worker', 'commit-thread', 'commit-pool'],
  ['check', 'watch'],
  ['backend'],
]

test('imports within src/file point one way', () => {
  const inFile = imports.filter(({ from, to }) => from.startsWith('file/') && to.startsWith('file/'))
  expect(inFile.length).toBeGreaterThan(80)
  const rankOf = (file: string) => {
    const name = file.split('/')[1]?.replace(/\.ts$/, '') ?? ''
    return FILE_RANKS.findIndex(names => names.includes(name))
  }
  const unranked = files.filter(file => file.startsWith('file/') && rankOf(file) === -1)
  expect(unranked).toEqual([])
  const wrong = inFile
    .filter(({ from, to }) => rankOf(to) > rankOf(from))
    .map(({ from, to }) => `${from} -> ${to}`)
  expect(wrong).toEqual([])
  const [, within = ''] = /### Within `file\/`([\s\S]*?)\n## /.exec(document) ?? []
  const named = rowsOf(within).map(cells => cells.join(' '))
  expect(named).toHaveLength(FILE_RANKS.length)
  const missing = FILE_RANKS.flatMap((names, i) =>
    names.filter(name => !named[i]?.includes(`\`${name}.ts\``) && !named[i]?.includes(`\`${name}/\``)),
  )
  expect(missing).toEqual([])
})

test('what is pure imports nothing of Node but buffers', () => {
  const impure = files
    .filter(file => partOf(file) === 'state' || file === 'change.ts' || file === 'errors.ts')
    .filter(file => /'node:(?!buffer')/.test(readFileSync(join(project, 'src', file), 'utf8')))
  expect(impure).toEqual([])
})

test('ARCHITECTURE.md names what there is', () => {
  const [, map = ''] = document.split('## The map')
  const names = Array.from(document.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g), ([, name = '']) => name)
  expect(names.length).toBeGreaterThan(30)
  const places = (name: string) => (name.startsWith('test/') ? [name] : [`src/${name}`, `src/file/${name}`])
  const missing = names.filter(name => !places(name).some(place => existsSync(join(project, place))))
  expect(missing.filter(name => !name.includes('NAME'))).toEqual([])
  const entries = readdirSync(join(project, 'src'), { withFileTypes: true })
  const unnamed = entries
    .map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .filter(name => !map.includes(`\`${name}\``))
  expect(unnamed).toEqual([])
})
