import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cli } from './cli/support.js'
import { fencedBlock } from './docs/markdown.js'
import { long } from './support/effort.js'
import { temporaryFolder } from './support/root.js'

const run = promisify(execFile)
const PROJECT = fileURLToPath(new URL('..', import.meta.url))

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

/** An empty project, beside the package. */
let project: string
let packed: Packed

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), 'sandbox-state-test-'))
  // What the tests built is packed as it is.
  const options = ['--ignore-scripts', '--json', '--pack-destination', project]
  const { stdout } = await run('npm', ['pack', ...options], { cwd: PROJECT })
  const [first] = JSON.parse(stdout) as Packed[]
  if (first === undefined) throw new Error('npm pack said nothing')
  packed = first
}, 180_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

/** Does what npm would, without a registry: puts the package there, and beside it the packages that it depends on. */
async function unpack(tarball: string): Promise<void> {
  const packages = join(project, 'node_modules')
  const folder = join(packages, 'sandbox-state')
  mkdirSync(folder, { recursive: true })
  await run('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'])
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    symlinkSync(join(PROJECT, 'node_modules', name), join(packages, name))
  }
}

test('the package holds what is needed to use it, and nothing else', () => {
  const paths = packed.files.map(({ path }) => path)
  const inRepository = (folder: string, ending: RegExp) =>
    readdirSync(join(PROJECT, folder))
      .filter(name => ending.test(name))
      .map(name => join(folder, name))
  const beside = [
    ...['LICENSE', 'llms.txt', 'package.json', 'dist/sandbox-state.1'],
    ...inRepository('.', /\.md$/),
    ...inRepository('docs', /\.(md|svg)$/),
    ...inRepository('examples', /\.(md|mjs)$/),
    ...inRepository('schemas', /\.json$/),
  ]
  expect(beside).toEqual(expect.arrayContaining(['README.md', 'docs/demo.svg', 'schemas/state.json']))
  expect(paths.filter(path => !/^dist\/.*\.(js|d\.ts)$/.test(path)).sort()).toEqual(beside.sort())
  // Each module of the source, with its types; and none that was left by an earlier build.
  const modules = paths.filter(path => path.endsWith('.js')).map(path => path.slice(5, -3))
  const types = paths.filter(path => path.endsWith('.d.ts')).map(path => path.slice(5, -5))
  const source = readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' }).filter(path =>
    path.endsWith('.ts'),
  )
  expect(modules.sort()).toEqual(source.map(path => path.slice(0, -3)).sort())
  expect(types.sort()).toEqual(modules)
  for (const document of ['README.md', 'docs/README.md', 'llms.txt', 'examples/README.md']) {
    const links = readFileSync(join(PROJECT, document), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]+)/g)
    const targets = Array.from(links, ([, target = '']) => join(document, '..', target))
    expect(targets.filter(target => !paths.includes(target))).toEqual([])
  }
})

test.runIf(long)('npm install -g installs its command and its man page', async () => {
  const [folder, prefix] = [temporaryFolder(), temporaryFolder()]
  const { dependencies, scripts, ...manifest } = JSON.parse(
    readFileSync(join(PROJECT, 'package.json'), 'utf8'),
  )
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  cpSync(join(PROJECT, 'dist'), join(folder, 'dist'), { recursive: true })
  await run('npm', ['install', '--global', '--offline', '--prefix', prefix, folder])
  expect(readFileSync(join(prefix, 'bin', 'sandbox-state'), 'utf8')).toMatch(/^#!/)
  expect(readFileSync(join(prefix, 'share', 'man', 'man1', 'sandbox-state.1'), 'utf8')).toMatch(/^\.TH /)
})

test('the library does not load zod; its subpath with the schemas does', async () => {
  const loaded = async (program: string) => {
    const preload = new URL('./cli/loaded-modules.mjs', import.meta.url).href
    const options = ['--import', preload, '--input-type=module', '--eval', program, temporaryFolder()]
    const { stderr } = await run(process.execPath, options, { cwd: PROJECT })
    return [...new Set(Array.from(stderr.matchAll(/node_modules\/([^/]+)/g), ([, name]) => name))]
  }
  const use = `
    import { decodeState, openStore, parseVolumes } from 'sandbox-state'
    decodeState('{"state":"ready"}')
    parseVolumes('a:b')
    const store = await openStore(process.argv[1])
    await store.create('a', { blockIndex: 1 })
    await store.update('a', state => ({ ...state, blockIndex: 2 }))
    await store.close()`
  const packages = await loaded(use)
  expect(packages).toContain('koffi')
  expect(packages).not.toContain('zod')
  expect(await loaded("import 'sandbox-state/schemas'")).toEqual(['zod'])
})

describe('installed in an empty project', () => {
  beforeAll(async () => {
    writeFileSync(join(project, 'package.json'), '{"private":true,"type":"commonjs"}')
    const tarball = join(project, packed.filename)
    if (!long) return unpack(tarball)
    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--no-save']
    await run('npm', ['install', ...options, tarball], { cwd: project })
  }, 180_000)

  test("the README's example does what its comments say", async () => {
    const readme = readFileSync(join(PROJECT, 'README.md'), 'utf8')
    const example = fencedBlock(readme, '<!-- example -->')
    const root = join(temporaryFolder(), 'sandboxes')
    writeFileSync(join(project, 'example.mjs'), example.replace('/tmp/sandboxes', root))
    const printed = await run(process.execPath, ['example.mjs'], { cwd: project })
    expect(printed).toEqual({ stdout: 'web-1\n', stderr: '' })
    expect(example).toContain(`// prints ${printed.stdout}`)
  })

  // Among the supported Nodes only 22.0 to 22.11 cannot.
  test.runIf(process.features.require_module)('a CommonJS program may require it', async () => {
    const program = `
      const { openStore } = require('sandbox-state')
      openStore(process.argv[2]).then(async store => {
        console.log((await store.create('a')).state)
        await store.close()
      })`
    writeFileSync(join(project, 'program.cjs'), program)
    const ran = await run(process.execPath, ['program.cjs', temporaryFolder()], { cwd: project })
    expect(ran).toEqual({ stdout: 'ready\n', stderr: '' })
  })

  test('a program may import its JSON Schemas', async () => {
    const program = `
      import { createRequire } from 'node:module'
      import { readFileSync } from 'node:fs'
      import { fileURLToPath } from 'node:url'
      const file = fileURLToPath(import.meta.resolve('sandbox-state/schemas/list.json'))
      console.log(JSON.parse(readFileSync(file, 'utf8')).title)
      console.log(createRequire(import.meta.url)('sandbox-state/schemas/state.json').$ref)`
    writeFileSync(join(project, 'schemas.mjs'), program)
    const { stdout } = await run(process.execPath, ['schemas.mjs'], { cwd: project })
    expect(stdout).toBe('list --format json\n#/$defs/state\n')
  })

  test.runIf(long)('npx finds its command', async () => {
    const { stdout } = await run('npx', ['sandbox-state', '--help'], { cwd: project })
    expect(stdout).toBe((await cli(['--help'])).stdout)
  })

  const environments = [
    { types: ['node'], lib: ['es2022'] },
    { types: [], lib: ['es2022', 'dom'] },
  ]
  test.runIf(long).each(environments)(
    'its types are exact under the strictest options, with $types and $lib',
    async ({ types, lib }) => {
      const program = `
import { openStore, parseVolumes, type SandboxState, StateStoreError, type StateString } from 'sandbox-state'
import { Cmd, SandboxState as Schema, type Volume } from 'sandbox-state/schemas'

export const state: SandboxState = Schema.parse({})
export const groups: string[] | null = Cmd.parse({}).SupplementaryGroups
export const volumes: Volume[] = parseVolumes('a:b')

export async function use(root: string): Promise<StateString> {
  await using store = await openStore(root, { durable: false })
  const made: SandboxState = await store.create('a', { blockIndex: 1 })
  await store.transition('a', 'ready', 'running')
  // @ts-expect-error no such move
  await store.transition('a', 'stopped', 'paused')
  // @ts-expect-error a field that there is not
  await store.create('b', { blockindex: 1 })
  for await (const entry of store.list()) {
    if ('error' in entry) throw new StateStoreError(entry.error.code, entry.id)
  }
  return made.state
}
`
      writeFileSync(join(project, 'program.mts'), program)
      const compilerOptions = {
        target: 'es2022',
        lib,
        module: 'nodenext',
        types,
        typeRoots: [join(PROJECT, 'node_modules', '@types')],
        strict: true,
        exactOptionalPropertyTypes: true,
        verbatimModuleSyntax: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
      }
      writeFileSync(
        join(project, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, files: ['program.mts'] }),
      )
      const tsc = join(PROJECT, 'node_modules', '.bin', 'tsc')
      const { stdout } = await run(tsc, ['-p', project], { cwd: project }).catch(error => error)
      expect(stdout).toBe('')
    },
  )
})
