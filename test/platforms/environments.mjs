// Tries the packed package in other environments than plain Node: node test/platforms/environments.mjs --help
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELP = `Usage: npm run test:environments -- [NAME...]

Packs this package, installs it in temporary folders, and runs test/platforms/checks.mjs in each environment, or in those
whose names begin with one of the NAMEs; in "Testing", what docs/testing.md says. Installs from the npm registry. Prints a line
for each environment:

  ok             every check passed
  failed         followed by the output; the exit status is then 1
  not available  something that it needs is missing: no failure

Environments:
  `

const HERE = fileURLToPath(new URL('.', import.meta.url))
const PROJECT = join(HERE, '..', '..')
const YARN = 'yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js'
/** How long one command may take, in ms. */
const LIMIT = 300_000
/** How long one test of Jest or vitest may take. */
const PATIENCE = '--testTimeout=60000'

/** In each a command is run in a folder where the package is installed; its exit status must be 0. */
const ENVIRONMENTS = {
  Node: { command: ['node', 'main.mjs'] },
  'Node, require()': { command: ['node', 'main.cjs'] },
  'Node, a worker thread': { command: ['node', 'worker.mjs'] },
  'Node, --frozen-intrinsics': { command: ['node', '--frozen-intrinsics', '--no-warnings', 'main.mjs'] },
  'Jest, node': jest('node', ['checks']),
  'Jest, jsdom': jest('jsdom', ['checks'], 'jest-environment-jsdom'),
  'vitest, threads': vitest('threads', ['checks']),
  'vitest, vmThreads': vitest('vmThreads', ['checks']),
  'vitest, vmForks': vitest('vmForks', ['checks']),
  'Testing, Jest': jest('node', ['testing', 'example-jest']),
  'Testing, vitest': vitest('forks', ['testing', 'example-vitest']),
  'Testing, vitest in a realm': vitest('vmThreads', ['testing', 'example-vitest']),
  'Yarn PnP': { setUp: installWithYarn, command: ['node', YARN, 'node', 'main.mjs'] },
  Bun: { packages: ['bun'], command: ['node_modules/.bin/bun', 'main.mjs'] },
  'Deno, which is refused': {
    packages: ['deno'],
    command: ['node_modules/.bin/deno', 'run', '-A', 'main.mjs'],
  },
  'no /proc': nodeUnder('unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'),
  'no inotify': nodeUnder(...straceInjecting('inotify_init1', 'error=EMFILE')),
}

const [, example] = /<!-- example -->\n```js\n(.*?)```/s.exec(
  readFileSync(join(PROJECT, 'docs', 'testing.md'), 'utf8'),
)

/** What the projects hold; `checks.mjs` is copied beside them. */
const FILES = {
  'package.json': '{"private":true}',
  'main.mjs': "import { check } from './checks.mjs'\nawait check(process.env.ROOT)\n",
  'main.cjs': "require('sandbox-state')\nimport('./main.mjs')\n",
  'worker.mjs': "import { Worker } from 'node:worker_threads'\nnew Worker('./main.mjs')\n",
  'checks.test.mjs': "import { check } from './checks.mjs'\ntest('checks', () => check(process.env.ROOT))\n",
  'testing.test.mjs': readFileSync(join(HERE, 'testing.mjs')),
  'example-vitest.test.mjs': example,
  'example-jest.test.mjs': example.replace("'vitest'", "'@jest/globals'"),
}

function jest(environment, tests, ...packages) {
  const node = ['node', '--experimental-vm-modules', '--no-warnings']
  const options = [`--env=${environment}`, PATIENCE, ...tests.map(name => `--testMatch=**/${name}.test.mjs`)]
  return { packages: ['jest', ...packages], command: [...node, 'node_modules/jest/bin/jest.js', ...options] }
}

function vitest(pool, tests) {
  const options = ['run', '--globals', `--pool=${pool}`, PATIENCE, ...tests.map(name => `${name}.test.mjs`)]
  return { packages: ['vitest'], command: ['node', 'node_modules/vitest/vitest.mjs', ...options] }
}

/** Node under another command, which takes something away from it; available where that can run true(1). */
function nodeUnder(...prefix) {
  return { probe: [...prefix, 'true'], command: [...prefix, process.execPath, 'main.mjs'] }
}

function straceInjecting(call, what) {
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${what}`]
}

const names = process.argv.slice(2)
if (names.includes('--help')) {
  console.log(HELP + Object.keys(ENVIRONMENTS).join('\n  '))
  process.exit()
}
const temporary = mkdtempSync(join(tmpdir(), 'sandbox-state-environments-'))
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }))

const packing = ['pack', '--silent', '--ignore-scripts', '--pack-destination', temporary]
const tarball = join(temporary, run(PROJECT, 'npm', ...packing).trim())
/** The folders that are set up, by the packages in them. */
const folders = new Map()

for (const [name, environment] of Object.entries(ENVIRONMENTS)) {
  if (names.length > 0 && !names.some(start => name.startsWith(start))) continue
  const { result, output = '' } = tryIn(environment)
  console.log(`${name.padEnd(26)} ${result}${output && `\n${output.replace(/^/gm, '    ')}`}`)
  if (result === 'failed') process.exitCode = 1
}

function tryIn({
  packages = [],
  setUp = folder => installWithNpm(folder, tarball, ...packages),
  probe,
  command,
}) {
  let folder
  try {
    if (probe !== undefined) run(temporary, ...probe)
    folder = folderFor(packages.join() || setUp.name, setUp)
  } catch (error) {
    return { result: `not available: ${error.message}` }
  }
  const root = mkdtempSync(join(temporary, 'root-'))
  try {
    run(folder, 'env', `ROOT=${join(root, 'root')}`, ...command)
    return { result: 'ok' }
  } catch (error) {
    return { result: 'failed', output: error.output ?? error.message }
  }
}

function folderFor(key, setUp) {
  let folder = folders.get(key)
  if (folder === undefined) {
    folder = mkdtempSync(join(temporary, 'project-'))
    for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content)
    copyFileSync(join(HERE, 'checks.mjs'), join(folder, 'checks.mjs'))
    setUp(folder)
    folders.set(key, folder)
  }
  return folder
}

function installWithNpm(folder, ...packages) {
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', ...packages)
}

function installWithYarn(folder) {
  mkdirSync(join(folder, 'yarn'))
  writeFileSync(join(folder, 'yarn', 'package.json'), '{"private":true}')
  installWithNpm(join(folder, 'yarn'), '@yarnpkg/cli-dist')
  const registry = run(folder, 'npm', 'config', 'get', 'registry').trim()
  const settings = `nodeLinker: pnp\nenableGlobalCache: false\nnpmRegistryServer: ${registry}\n`
  writeFileSync(join(folder, '.yarnrc.yml'), settings)
  writeFileSync(join(folder, 'yarn.lock'), '')
  run(folder, 'node', YARN, 'add', `sandbox-state@file:${tarball}`)
}

/** @returns what the command printed on stdout */
function run(folder, program, ...args) {
  const options = { cwd: folder, encoding: 'utf8', timeout: LIMIT, env: { ...process.env, CI: '1' } }
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, options)
  if (error !== undefined) throw new Error(`${program}: ${error.message}`)
  if (status === 0) return stdout
  const output = `${stdout}${stderr}`.trim()
  const ended = signal ?? `exit status ${status}`
  throw Object.assign(new Error(`${program} failed (${ended}): ${output.split('\n').at(-1)}`), { output })
}
